"""The phases of an improvement. Each is one or more commands; what is complete is not done again."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from codagent.errors import UsageError
from codagent.text import count
from codagent_train.data.records.scan import scan
from codagent_train.files import begin_folder
from codagent_train.improve.commands import run_command
from codagent_train.improve.comparison import measure_loops
from codagent_train.improve.times import count_seconds, read_times
from codagent_train.recipe.values import DeviceName
from codagent_train.run_dir import checkpoints
from codagent_train.tasks.task_files import TaskSplit, list_task_files

REQUEST = "improve.json"
TAUGHT, RUN = "taught", "run"  # what learned from repairs, and what went on from there with its own loops
TAUGHT_ADAPTER, ADAPTER = "taught.gguf", "adapter.gguf"
REPAIRS, RECORDS = "records/repair", "records/record"
_RAN = (0, 3, 8, 9)  # exit codes of loops that came to an end of their own
_SHARES = {"before": 0.3, "teach": 0.25, "record": 0.15, "train": 0.15, "after": 0.15}  # of the hours; untaught, a model's answers are long
_ONE_ANSWER = ("--max-steps", "1")  # in each attempt: so more tasks are worked on in the same time, and each answer has its own outcome
_ON_GPU: Mapping[str, str] = {"device": '"cuda"', "layers": "0", "packs": "8", "microbatches": "16"}  # all layers, larger steps
_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}  # of processors that compute in it: they train in half the time; others take far longer
_ANSWERS = "lines"  # a small model learns them with fewer tokens, and writes them in a fraction of the time
_SOURCES: Mapping[str, Mapping[str, str]] = {
    TAUGHT: {"folders": f'["{REPAIRS}"]', "play": "0", "replay": "0", "learning_rate": "3e-4"},  # imitation goes on with larger steps
    RUN: {"folders": f'["{RECORDS}", "{REPAIRS}"]'},
}


@dataclass(frozen=True, slots=True)
class Improvement:
    """What is to be improved, with what."""

    repositories: tuple[str, ...]
    model: str  # `embedded:NAME`
    hours: float
    count: int  # tasks of each repository
    group: int = 4  # loops at each task for training
    iterations: int = 4  # attempts of the evaluation
    steps: int = 60  # of each training, at most
    sandbox: str = ""  # its name; "": the usual one
    seed: int = 0
    check: str = ""
    device: DeviceName = "cpu"  # of loops and training; cuda: the model is served by transformers, and all its layers learn

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"


class Improver:
    """Runs the phases into a folder, each as commands of their own."""

    def __init__(self, wanted: Improvement, out: Path, say: Callable[[str], None]) -> None:
        self._wanted, self._out, self._say = wanted, out.absolute(), say
        self._sandbox = ("--sandbox", wanted.sandbox) if wanted.sandbox else ()

    def run(self, *, resume: bool) -> None:
        """Run all phases. Raises PhaseFailed when a command of a phase fails; what was done stays, and `resume` goes on with it."""
        wanted, out = self._wanted, self._out
        asked = asdict(wanted) | {"hours": 0}  # these may differ when it goes on
        begin_folder(out / REQUEST, asked, wanted.repositories, resume=resume)
        with self._phase("tasks"):
            self._make_tasks()
        with self._phase("import"):
            if not (out / "base").is_dir():
                self._train("import", wanted.model.partition(":")[2], "--out", "base")
        self._evaluate("before", f"adapter:{out / 'base'}" if wanted.on_gpu else wanted.model)
        with self._phase("repair"):
            self._train("repair", "tasks", "--record", REPAIRS, "--answers", _ANSWERS, "--model", wanted.model, *self._sandbox)
        with self._phase("teach"):
            self._learn(TAUGHT, TAUGHT_ADAPTER, "teach")
        options = ("--group", str(wanted.group), "--all", "--iterations", "1")
        self.run_loops("record", "train", self._export(TAUGHT, TAUGHT_ADAPTER), options, size=wanted.group)
        with self._phase("train"):
            if measure_loops(out / RECORDS) and scan([out / RECORDS]).groups:
                self._learn(RUN, ADAPTER, "train", "--weights", TAUGHT)
            else:
                self._say("train: no group of loops has ended, so the adapter stays as it learned from repairs")
        self._evaluate("after", self._export(RUN if checkpoints.is_run(out / RUN) else TAUGHT, ADAPTER))

    def _make_tasks(self) -> None:
        wanted = self._wanted
        if not (self._out / "tasks" / "tasks.jsonl").is_file():
            repositories = [str(Path(path).resolve()) for path in wanted.repositories]
            limits = ("--count", str(wanted.count), "--seed", str(wanted.seed), *(("--check", wanted.check) if wanted.check else ()))
            self._train("tasks", *repositories, "--out", "tasks", *limits, *self._sandbox, "--resume")

    def run_loops(self, phase: str, part: TaskSplit, model: str, options: Sequence[str], *, size: int = 1) -> None:
        """Run a group of `size` loops at each task of a part, several tasks side by side, until the share of the time is over."""
        with self._phase(phase):
            tasks, records = len(list_task_files(self._out / "tasks", part)), self._out / "records" / phase
            share, wanted = self._share(phase), tasks * size
            deadline = time.monotonic() + share

            def tell() -> int:
                ended = len(measure_loops(records))
                left = _minutes(max(0.0, deadline - time.monotonic()))
                self._say(f"{phase}: {ended} of {count(wanted, 'loop')} ended, {left} left of this phase")
                return ended

            if tell() >= wanted or not share:
                return
            command = (
                "loop",
                f"tasks/{part}/",
                "--model",
                model,
                *options,
                *_ONE_ANSWER,
                "--jobs",
                str(_count_slots(on_gpu=self._wanted.on_gpu)),
                "--continue",
            )
            places = ("--rewrite", "never", "--seed", str(self._wanted.seed), *self._sandbox, "--record", str(records), "--json")
            try:
                run_command("codagent", *command, *places, folder=self._out, codes=_RAN, seconds=share, tell=tell)
            except TimeoutError:
                self._say(f"{phase}: the time is over after {len(measure_loops(records))} of {count(wanted, 'loop')}")

    def _evaluate(self, phase: str, model: str) -> None:
        self.run_loops(phase, "held-out", model, ("--iterations", str(self._wanted.iterations)))

    def _learn(self, name: str, adapter: str, phase: str, *options: str) -> None:
        """Train the run `name`, unless its adapter was written. When the share of the time is over, its last checkpoint is taken."""
        if (self._out / adapter).is_file():
            return
        run = self._out / name
        last = checkpoints.find_latest(run) if checkpoints.is_run(run) else None
        if last and checkpoints.step_of(last) >= self._wanted.steps:
            return
        (self._out / f"{name}.toml").write_text(write_recipe(self._wanted, name), encoding="utf-8")
        resume = ("--resume",) if last else ()
        try:
            self._train("run", f"{name}.toml", "--out", name, *options, *resume, seconds=self._share(phase))
        except TimeoutError:
            if checkpoints.find_latest(run) is None:
                raise UsageError(
                    "the time is over before training has written a checkpoint; give more --hours and go on with --resume"
                ) from None
            self._say(f"{phase}: the time is over; the last checkpoint is taken")

    def _export(self, run: str, file: str) -> str:
        """Write the adapter of a run for llama.cpp, unless it is there, and return the model that uses it: on a GPU, the run itself."""
        with self._phase("export"):
            if not (self._out / file).is_file():
                self._train("export", run, "--to", "gguf-adapter", "--out", file)
        return f"adapter:{self._out / (run if self._wanted.on_gpu else file)}"

    def _train(self, *arguments: str, seconds: float = math.inf) -> None:
        run_command("codagent-train", *arguments, folder=self._out, seconds=seconds)

    def _share(self, phase: str) -> float:
        """Return the seconds that a phase may still take."""
        return max(0.0, 3600 * self._wanted.hours * _SHARES[phase] - read_times(self._out).get(phase, 0.0))

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Tell that a phase begins, and count its seconds."""
        passed = sum(read_times(self._out).values())
        left = max(0.0, 3600 * self._wanted.hours - passed)
        self._say(f"{name}: {_minutes(passed)} passed, at most {_minutes(left)} left")
        with count_seconds(self._out, name):
            yield


def _count_slots(*, on_gpu: bool) -> int:
    """Return how many loops ask the model side by side: on few cores, so many that one asks while the checks of another run.

    A GPU answers many in the time of one, so there only the checks count: those of one loop keep a core busy, and often three.
    """
    return min(64 if on_gpu else 8, max(2, os.cpu_count() or 1))


def _minutes(seconds: float) -> str:
    return count(round(seconds / 60), "minute")


def write_recipe(wanted: Improvement, run: str) -> str:
    """Return the recipe `local` with the records and the sources of a run, for this machine."""
    text = resources.files("codagent_train.recipe").joinpath("shipped/local.toml").read_text(encoding="utf-8")
    machine = _ON_GPU if wanted.on_gpu else {"bf16": _say_bf16()}
    settings = {**_SOURCES[run], "answers": f'"{_ANSWERS}"', "steps": str(wanted.steps), **machine}
    for key, value in settings.items():
        text = re.sub(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
    return text


def _say_bf16() -> str:
    """Return, as TOML, whether this processor computes in bfloat16. Only Linux tells."""
    info = Path("/proc/cpuinfo")
    return str(info.is_file() and not _BF16_FLAGS.isdisjoint(info.read_text(encoding="utf-8").split())).lower()
