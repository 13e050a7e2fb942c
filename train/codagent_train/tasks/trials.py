"""Tries bugs side by side, and remembers on the disk what came of each, so that a command that was stopped goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from codagent.errors import SandboxError
from codagent.store import jsonl
from codagent_train.tasks.bugs.candidates import Bug
from codagent_train.tasks.checking import Baseline, BugChecker, Trial


class Trials:
    """The trials of one repository. Results come in the order of the bugs, so the same bugs make the same tasks."""

    def __init__(self, file: Path, open_checker: Callable[[], BugChecker], jobs: int) -> None:
        """Read what earlier commands wrote to `file`. A sandbox is opened only for bugs that are not there."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._known = _read(file)
        self._jobs, self._open_checker = jobs, open_checker
        self._stack, self._lock = ExitStack(), Lock()
        self._file = self._stack.enter_context(closing(jsonl.open_to_append(file)))
        self._idle: SimpleQueue[BugChecker | None] = SimpleQueue()
        for _ in range(jobs):
            self._idle.put(None)
        self._base: Baseline | None = None

    def run(self, bugs: Sequence[Bug], *, skip: Callable[[Bug], bool]) -> Iterator[tuple[Bug, Trial]]:
        """Yield each bug that is Python with its trial. `skip` is asked shortly before a bug is tried.

        Raises UsageError when no task can be made from the repository.
        """
        waiting: deque[tuple[Bug, Future[Trial | None]]] = deque()
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="trial") as pool:
            try:
                for bug in bugs:
                    if not skip(bug):
                        waiting.append((bug, pool.submit(self._try, bug)))
                    if len(waiting) >= 2 * self._jobs:
                        yield from self._take(*waiting.popleft())
                while waiting:
                    yield from self._take(*waiting.popleft())
            finally:
                pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Close the sandboxes and the file."""
        while not self._idle.empty():
            if checker := self._idle.get():
                checker.close()
        self._stack.close()

    def _take(self, bug: Bug, future: Future[Trial | None]) -> Iterator[tuple[Bug, Trial]]:
        if trial := future.result():
            if bug.key not in self._known:
                self._known[bug.key] = trial
                jsonl.append(self._file, {"bug": bug.key, **asdict(trial)})
            yield bug, trial

    def _try(self, bug: Bug) -> Trial | None:
        """Try a bug. None: it is no Python any more, or means the same."""
        if known := self._known.get(bug.key):
            return known
        data = bug.data()
        if data is None:
            return None
        checker = self._idle.get()
        try:
            checker = checker or self._open_checker()
            trial = checker.try_bug(bug.path, data, self._measured(checker))
        except SandboxError:
            if self._base is None:
                raise
            if checker:  # a program of the repository broke it
                checker.close()
            trial, checker = Trial("breaks the run", {}), None
        finally:
            self._idle.put(checker)
        return trial

    def _measured(self, checker: BugChecker) -> Baseline:
        with self._lock:
            self._base = self._base or checker.measure()
            return self._base


def _read(file: Path) -> dict[str, Trial]:
    """Read the trials in a file. A torn last line is cut off; a line that is damaged is left out, and its bug is tried again."""
    trials: dict[str, Trial] = {}
    if file.exists():
        jsonl.drop_torn_line(file)
        for line in jsonl.read_lines(file):
            try:
                value, _ = jsonl.parse(line, 0)
                bug = value.pop("bug")
                trials[bug] = Trial(**value)
            except (ValueError, KeyError, TypeError):
                continue
    return trials
