"""The metrics of a run for programs that draw them while it goes on, under the names that `metrics.jsonl` has them under."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree

from codagent.errors import UsageError
from codagent_train.run_dir import metrics

LogStep = Callable[[int, Mapping[str, float]], None]  # the number of a step, and its metrics
PROJECT = "codagent"  # of trackio, in its own folder on this machine


def check_loggers(names: Sequence[str]) -> None:
    """UsageError when what is to draw is unknown or not installed."""
    for name in names:
        if name not in _LOGGERS:
            raise UsageError(f"--log {name} is unknown; give one of {', '.join(_LOGGERS)}")
        if find_spec(name) is None:
            raise UsageError(f"--log {name} needs {name}; install it with: pip install 'codagent[logs]'")


@contextmanager
def open_loggers(names: Sequence[str], out: Path) -> Iterator[LogStep]:
    """What is told of each step of the run in the folder `out`. It begins with the steps in its `metrics.jsonl`, and forgets what it was
    told of that run before, of which steps may be done again."""
    with ExitStack() as stack:
        loggers = [stack.enter_context(_LOGGERS[name](out)) for name in dict.fromkeys(names)]

        def tell(step: int, values: Mapping[str, float]) -> None:
            for logger in loggers:
                logger(step, values)

        for line in metrics.read(out / metrics.FILE):
            tell(int(line["step"]), {name: value for name, value in line.items() if name != "step"})
        yield tell


@contextmanager
def _tensorboard(out: Path) -> Iterator[LogStep]:
    """Into a folder beside the metrics."""
    from torch.utils.tensorboard import SummaryWriter

    folder = out / "tensorboard"
    rmtree(folder, ignore_errors=True)
    with SummaryWriter(str(folder)) as writer:

        def tell(step: int, values: Mapping[str, float]) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)
            writer.flush()

        yield tell


@contextmanager
def _trackio(out: Path) -> Iterator[LogStep]:
    """Into trackio's store on this machine, under the path of the folder. Not by its `init`, which asks the hub who is logged in."""
    from trackio.sqlite_storage import SQLiteStorage

    name = str(out.resolve())
    SQLiteStorage.delete_run(PROJECT, name)

    def tell(step: int, values: Mapping[str, float]) -> None:
        SQLiteStorage.bulk_log(PROJECT, name, [dict(values)], steps=[step])

    yield tell


_LOGGERS = {"tensorboard": _tensorboard, "trackio": _trackio}
