"""Metrics for programs that draw them while a run goes on, under the same names as in `metrics.jsonl`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree

from codagent.errors import UsageError
from codagent_train.run_dir import metrics

LogStep = Callable[[int, Mapping[str, float]], None]  # called with the number of a step and its metrics
PROJECT = "codagent"  # the project in trackio


def check_loggers(names: Sequence[str]) -> None:
    """Raise UsageError when a logger is unknown or not installed."""
    for name in names:
        if name not in _LOGGERS:
            raise UsageError(f"--log {name} is unknown; give one of {', '.join(_LOGGERS)}")
        if find_spec(name) is None:
            raise UsageError(f"--log {name} needs {name}; install it with: pip install 'codagent[logs]'")


@contextmanager
def open_loggers(names: Sequence[str], out: Path) -> Iterator[LogStep]:
    """Open the loggers in `names` for the run in the folder `out`. Gives a function that takes the metrics of each step.

    Each logger first forgets what it has of this run, and then gets all steps from `metrics.jsonl`: a resumed run does some steps again.
    An empty `names` gives a function that does nothing.
    """
    with ExitStack() as stack:
        loggers = [stack.enter_context(_LOGGERS[name](out)) for name in dict.fromkeys(names)]

        def log_step(step: int, values: Mapping[str, float]) -> None:
            for logger in loggers:
                logger(step, values)

        for line in metrics.read(out / metrics.FILE):
            log_step(int(line["step"]), {name: value for name, value in line.items() if name != "step"})
        yield log_step


@contextmanager
def _tensorboard(out: Path) -> Iterator[LogStep]:
    """Write into the folder `tensorboard` beside the metrics."""
    from torch.utils.tensorboard import SummaryWriter

    folder = out / "tensorboard"
    rmtree(folder, ignore_errors=True)
    with SummaryWriter(str(folder)) as writer:

        def log_step(step: int, values: Mapping[str, float]) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)
            writer.flush()

        yield log_step


@contextmanager
def _trackio(out: Path) -> Iterator[LogStep]:
    """Write into trackio's database on this machine, as a run that is named by the path of its folder.

    `trackio.init` is not used: it asks the hub who is logged in.
    """
    from trackio.sqlite_storage import SQLiteStorage

    name = str(out.resolve())
    SQLiteStorage.delete_run(PROJECT, name)

    def log_step(step: int, values: Mapping[str, float]) -> None:
        SQLiteStorage.bulk_log(PROJECT, name, [dict(values)], steps=[step])

    yield log_step


_LOGGERS = {"tensorboard": _tensorboard, "trackio": _trackio}
