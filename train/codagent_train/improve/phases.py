"""The phases of an improvement. Each is one or more commands; what is complete is not done again."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from codagent.errors import UsageError
from codagent.text import count
from codagent_train.errors import PhaseFailed
from codagent_train.files import begin_folder
from codagent_train.improve.comparison import read_results
from codagent_train.run_dir import checkpoints
from codagent_train.tasks.task_files import TaskSplit, list_task_files

REQUEST, TIMES = "improve.json", "times.json"
ADAPTER = "adapter.gguf"
_RAN = (0, 3, 8, 9)  # exit codes of loops that came to an end of their own
_SHARES = {"before": 0.15, "record": 0.45, "train": 0.25, "after": 0.15}  # of the hours
_STOP_S = 120.0  # that a training gets to write its last checkpoint
# A command is interrupted when its stdin is closed, so it ends with this process, even if that is killed. What a shell starts in the
# background ignores interrupts, so this is undone.
MAIN = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Thread(target=lambda: (sys.stdin.read(), os.kill(os.getpid(), signal.SIGINT)), daemon=True).start()
from {package}.cli import main
sys.argv[0] = {name!r}
main()
"""


@dataclass(frozen=True, slots=True)
class Improvement:
    """What is to be improved, with what."""

    repositories: tuple[str, ...]
    model: str  # `embedded:NAME`
    hours: float
    count: int  # tasks of each repository
    group: int = 4  # loops at each task for training
    iterations: int = 4  # attempts of the evaluation
    steps: int = 20  # of training
    sandbox: str = ""  # its name; "": the usual one
    seed: int = 0
    check: str = ""


class Improver:
    """Runs the phases into a folder, each as commands of their own."""

    def __init__(self, wanted: Improvement, out: Path, say: Callable[[str], None]) -> None:
        self._wanted, self._out, self._say = wanted, out.absolute(), say

    def run(self, *, resume: bool) -> None:
        """Run all phases. Raises PhaseFailed when a command of a phase fails; what was done stays, and `resume` goes on with it."""
        wanted, out = self._wanted, self._out
        asked = asdict(wanted) | {"hours": 0}  # these may differ when it goes on
        begin_folder(out / REQUEST, asked, wanted.repositories, resume=resume)
        repositories = [str(Path(path).resolve()) for path in wanted.repositories]
        options = [*(("--check", wanted.check) if wanted.check else ()), *(("--sandbox", wanted.sandbox) if wanted.sandbox else ())]
        with self._phase("tasks"):
            if not (out / "tasks" / "tasks.jsonl").is_file():
                limits = ("--count", str(wanted.count), "--seed", str(wanted.seed), *options, "--resume")
                self._train("tasks", *repositories, "--out", "tasks", *limits)
        with self._phase("import"):
            if not (out / "base").is_dir():
                self._train("import", wanted.model.partition(":")[2], "--out", "base")
        self._evaluate("before", wanted.model)
        self._run_loops("record", "train", wanted.model, ("--group", str(wanted.group), "--all", "--iterations", "1"))
        with self._phase("train"):
            self._learn()
        with self._phase("export"):
            if not (out / ADAPTER).is_file():
                self._train("export", "run", "--to", "gguf-adapter", "--out", ADAPTER)
        self._evaluate("after", f"adapter:{out / ADAPTER}")

    def _evaluate(self, phase: str, model: str) -> None:
        self._run_loops(phase, "held-out", model, ("--iterations", str(self._wanted.iterations)))

    def _run_loops(self, phase: str, part: TaskSplit, model: str, options: Sequence[str]) -> None:
        """Run a loop, or a group of loops, at each task of a part, until the share of the time is over."""
        with self._phase(phase):
            files, deadline = list_task_files(self._out / "tasks", part), time.monotonic() + self._share(phase)
            for number, file in enumerate(files, 1):
                done = self._out / "done" / phase / f"{file.stem}.json"
                if done.is_file():
                    continue
                if number > 1 and time.monotonic() > deadline:
                    self._say(f"{phase}: the time is over after {number - 1} of {len(files)} tasks")
                    break
                left = max(0.0, deadline - time.monotonic())
                self._say(f"{phase}: task {number} of {len(files)}, {_minutes(left)} left of this phase")
                self._loop(file, model, phase, options, done)

    def _loop(self, file: Path, model: str, phase: str, options: Sequence[str], done: Path) -> None:
        record = self._out / "records" / phase / file.stem
        shutil.rmtree(record, ignore_errors=True)  # of a command that was stopped in this task
        sandbox = ("--sandbox", self._wanted.sandbox) if self._wanted.sandbox else ()
        command = ("loop", str(file), "--model", model, *options, "--rewrite", "never", "--seed", str(self._wanted.seed), *sandbox)
        printed = self._run("codagent", *command, "--record", str(record), "--json", codes=_RAN)
        done.parent.mkdir(parents=True, exist_ok=True)
        done.write_text(printed, encoding="utf-8")

    def _learn(self) -> None:
        """Train on the records. When the share of the time is over, the training is stopped and its last checkpoint is taken."""
        run = self._out / "run"
        last = checkpoints.find_latest(run) if checkpoints.is_run(run) else None
        if last and checkpoints.step_of(last) >= self._wanted.steps:
            return
        (self._out / "recipe.toml").write_text(write_recipe(self._wanted, self._out), encoding="utf-8")
        resume = ("--resume",) if last else ()
        try:
            self._train("run", "recipe.toml", "--out", "run", *resume, seconds=self._share("train"))
        except TimeoutError:
            if checkpoints.find_latest(run) is None:
                raise UsageError(
                    "the time is over before training has written a checkpoint; give more --hours and go on with --resume"
                ) from None
            self._say("train: the time is over; the last checkpoint is taken")

    def _train(self, *arguments: str, seconds: float | None = None) -> str:
        return self._run("codagent-train", *arguments, seconds=seconds)

    def _run(self, name: str, *arguments: str, codes: Sequence[int] = (0,), seconds: float | None = None) -> str:
        """Run a command in the folder, and return what it printed. Raises PhaseFailed when it fails, TimeoutError past `seconds`."""
        code = MAIN.format(name=name, package=name.replace("-", "_"))
        with tempfile.TemporaryFile("w+", encoding="utf-8") as printed:
            command = [sys.executable, "-P", "-c", code, *arguments]
            child = subprocess.Popen(command, cwd=self._out, stdin=subprocess.PIPE, stdout=printed)
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                raise TimeoutError from None
            finally:
                _stop(child)
            printed.seek(0)
            text = printed.read()
        if child.returncode not in codes:
            raise PhaseFailed(f"{name} {arguments[0]}", child.returncode)
        return text

    def _share(self, phase: str) -> float:
        """Return the seconds that a phase may still take."""
        return max(0.0, 3600 * self._wanted.hours * _SHARES[phase] - read_times(self._out).get(phase, 0.0))

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Tell that a phase begins, and add the seconds that it took to those that were kept, also of earlier commands."""
        passed = sum(read_times(self._out).values())
        left = max(0.0, 3600 * self._wanted.hours - passed)
        self._say(f"{name}: {_minutes(passed)} passed, at most {_minutes(left)} left")
        began = time.monotonic()
        try:
            yield
        finally:
            times = read_times(self._out)
            times[name] = times.get(name, 0.0) + time.monotonic() - began
            (self._out / TIMES).write_text(json.dumps(times, indent=1), encoding="utf-8")


def _minutes(seconds: float) -> str:
    return count(round(seconds / 60), "minute")


def read_times(out: Path) -> dict[str, float]:
    """Return the seconds that each phase has taken so far."""
    try:
        times: dict[str, float] = json.loads((out / TIMES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return times


def write_recipe(wanted: Improvement, out: Path) -> str:
    """Return the recipe `local` for the records of this folder. Sources that the records have nothing for are left out."""
    text = resources.files("codagent_train.recipe").joinpath("shipped/local.toml").read_text(encoding="utf-8")
    passed = any(result.later for result in read_results(out / "records" / "record").values())
    changes = {"folders": '["records/record"]', "steps": str(wanted.steps)}
    for key, value in (changes if passed else changes | {"imitate": "0"}).items():
        text = re.sub(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
    return text


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End a command that still runs, first as Ctrl-C does."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child.stdin:
        child.stdin.close()
