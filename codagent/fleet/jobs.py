"""Runs many loops that do not depend on each other. A loop that is on record already is not begun a second time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from codagent.errors import CodagentError, RecordError, RepositoryError
from codagent.fleet.budget import FleetBudget
from codagent.runner.executor import Executor
from codagent.runner.launch import Flags, LaunchOptions, resume, start
from codagent.runner.result import is_over
from codagent.runner.spec import LoopSpec, Person, Result, spec_of
from codagent.store import layout
from codagent.store.ledger import Spent, read_spent
from codagent.store.record import load
from codagent.types import Limits, Loop, Task


@dataclass(frozen=True, slots=True)
class LoopJob:
    """A loop that is to be run, or taken up from its record."""

    name: str  # by which a person knows it
    launch: LaunchOptions
    pattern: LoopSpec
    person: Person  # who acts on its record
    flags: Flags = field(default_factory=dict)  # that hold for a loop that is taken up, too
    recorded: str = ""  # the id of the loop on record; "": it begins

    def run(self, budget: FleetBudget) -> Result:
        """Run the loop; take it up where it was broken off; or return what came of it, when its record has its end.

        It gets no more than `budget` has left.
        """
        folder = self.launch.loops / self.recorded
        loop = load(folder / layout.RECORD) if self.recorded else None
        earlier = read_spent(folder / layout.LEDGER) if loop else Spent()
        budget.book(earlier)
        if loop and is_over(loop):
            return _read_result(folder, loop, earlier)
        limits = self.launch.settings.limits
        taken = budget.take(limits)
        spent = earlier
        try:
            result = self._run(loop, taken, lowered=taken != limits)
            spent = result.spent
            return result
        finally:
            budget.settle(taken, spent - earlier)

    def _run(self, loop: Loop | None, limits: Limits, *, lowered: bool) -> Result:
        """Run the loop within `limits`. A loop that is taken up keeps its own limits, unless these are lower."""
        launch = replace(self.launch, settings=replace(self.launch.settings, limits=limits))
        if loop is None:
            return start(launch, self.pattern, None)[0]
        lower = {"max_tokens": limits.tokens, "max_usd": limits.usd} if lowered else {}
        return resume(launch, loop.id, {**self.flags, **lower}, self.person)


def run_jobs(
    jobs: Iterable[LoopJob],
    executor: Executor,
    budget: FleetBudget,
    *,
    at_once: int,
    on_end: Callable[[LoopJob, Result | CodagentError], None],
) -> None:
    """Run jobs side by side, `at_once` at a time. `on_end` hears of each what came of it, or why it did not begin, as soon as it ends.

    No result is kept. An exception that is no CodagentError, such as KeyboardInterrupt, stops all loops, and is raised when they have
    ended. They can be resumed.
    """
    running: dict[Future[Result], LoopJob] = {}

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
                running[pool.submit(job.run, budget)] = job
            hear(0)
        except BaseException:
            executor.stop()
            budget.stop()
            raise


class RecordedLoops:
    """The loops on record, by what they work on. The latest counts."""

    def __init__(self, loops: Path) -> None:
        self._specs: defaultdict[tuple[tuple[Task, ...], bool], list[LoopSpec]] = defaultdict(list)
        for loop_id in layout.list_loops(loops):
            with suppress(RecordError, RepositoryError):  # a damaged record is nobody's
                spec, _, _ = spec_of(load(loops / loop_id / layout.RECORD))
                self._specs[spec.tasks, spec.iterate].append(replace(spec, loop_id=loop_id))

    def find(self, pattern: LoopSpec) -> str:
        """Return the id of the latest loop with the same tasks. "": there is none."""
        return next((spec.loop_id for spec in reversed(self._specs[pattern.tasks, pattern.iterate])), "")

    def find_group(self, pattern: LoopSpec) -> list[LoopSpec]:
        """Return the loops of the latest group with the same tasks and as many members. []: there is none."""
        alike = [spec for spec in self._specs[pattern.tasks, pattern.iterate] if spec.members == pattern.members]
        return [spec for spec in alike if spec.group == alike[-1].group]


def _read_result(folder: Path, loop: Loop, spent: Spent) -> Result:
    seconds = sum(step.seconds for episode in loop.episodes for step in episode.steps)
    return Result(loop, spent, seconds, folder / layout.RECORD)
