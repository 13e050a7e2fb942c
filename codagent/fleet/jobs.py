"""Runs many loops that do not depend on each other. A loop that is on record already is not begun a second time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from codagent.errors import CodagentError, RecordError, RepositoryError
from codagent.runner.executor import Executor
from codagent.runner.launch import Flags, LaunchOptions, resume, start
from codagent.runner.spec import LoopSpec, Person, Result, spec_of
from codagent.store import layout
from codagent.store.ledger import read_spent
from codagent.store.record import load
from codagent.types import Loop, Task


@dataclass(frozen=True, slots=True)
class Job:
    """A loop that is to be run, or taken up from its record."""

    name: str  # by which a person knows it
    launch: LaunchOptions
    pattern: LoopSpec
    person: Person  # who acts on its record
    flags: Flags = field(default_factory=dict)  # that hold for a loop that is taken up, too
    recorded: str = ""  # the id of the loop on record; "": it begins

    def run(self) -> Result:
        """Run the loop; take it up where it was broken off; or return what came of it, when its record has its end."""
        loops = self.launch.loops
        if not self.recorded:
            return start(self.launch, self.pattern, None)[0]
        loop = load(loops / self.recorded / layout.RECORD)
        return _read_result(loops, loop) if is_over(loop) else resume(self.launch, loop.id, self.flags, self.person)


def run_jobs(jobs: Iterable[Job], executor: Executor, *, at_once: int, on_end: Callable[[Job, Result | CodagentError], None]) -> None:
    """Run jobs side by side, `at_once` at a time. `on_end` hears of each what came of it, or why it did not begin, as soon as it ends.

    No result is kept. An exception that is no CodagentError, such as KeyboardInterrupt, stops all loops, and is raised when they have
    ended. They can be resumed.
    """
    running: dict[Future[Result], Job] = {}

    def hear(most: int) -> None:
        while len(running) > most:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                try:
                    ended: Result | CodagentError = future.result()
                except CodagentError as error:
                    ended = error
                on_end(job, ended)

    with ThreadPoolExecutor(at_once, thread_name_prefix="job") as pool:
        try:
            for job in jobs:
                hear(at_once - 1)
                running[pool.submit(job.run)] = job
            hear(0)
        except BaseException:
            executor.stop()
            raise


class RecordedLoops:
    """The loops on record, by what they work on. The latest counts."""

    def __init__(self, loops: Path) -> None:
        self._ids: dict[tuple[tuple[Task, ...], bool], str] = {}
        for loop_id in layout.list_loops(loops):
            with suppress(RecordError, RepositoryError):  # a damaged record is nobody's
                spec, _, _ = spec_of(load(loops / loop_id / layout.RECORD))
                self._ids[spec.tasks, spec.iterate] = loop_id

    def find(self, pattern: LoopSpec) -> str:
        """Return the id of the latest loop with the same tasks. "": there is none."""
        return self._ids.get((pattern.tasks, pattern.iterate), "")


def is_over(loop: Loop) -> bool:
    """Whether a loop came to its end or to a limit. A loop that a failure or a person broke off is not over."""
    return loop.end not in ("model", "sandbox", "interrupted", None)


def _read_result(loops: Path, loop: Loop) -> Result:
    seconds = sum(step.seconds for episode in loop.episodes for step in episode.steps)
    return Result(loop, read_spent(loops / loop.id / layout.LEDGER), seconds, loops / loop.id / layout.RECORD)
