"""What comes next in a Ralph loop: each task again and again until its checks pass, or a rule of `stop` ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from codagent.agent.loop import NextTask, once_each
from codagent.protocols import Stop
from codagent.repository import git
from codagent.repository.attempts import best, claim_of
from codagent.runner.display import LoopView
from codagent.runner.planning.stop import Iteration, progress, verdict
from codagent.runner.spec import LoopSpec
from codagent.store.ledger import Ledger
from codagent.text import describe_iteration
from codagent.types import Episode, Limits, Loop, Task


def plan_loop(root: Path, spec: LoopSpec, loop: Loop, ledger: Ledger) -> tuple[NextTask, LoopView]:
    """Return what comes next in the loop, and what its display may ask."""
    view = replace(LoopView.of(ledger), earlier=loop.episodes, loop=loop)
    if not spec.iterate:
        return once_each(spec.tasks), view
    schedule = UntilPassed(spec.tasks, ledger.limits, tree_of=partial(git.tree_of, root))
    return schedule.next_task, replace(view, describe_progress=schedule.describe_progress)


class UntilPassed:
    """Gives each task until its checks pass or its iterations are over, then the next task.

    The loop ends as the first task that did not pass; a task that only a person can help with ends it at once.
    """

    def __init__(self, tasks: Sequence[Task], limits: Limits, *, tree_of: Callable[[str], str]) -> None:
        """`tree_of` gives the tree of a commit."""
        self._tasks, self._limits, self._tree_of = tasks, limits, cache(tree_of)

    def next_task(self, loop: Loop) -> Task | Stop:
        """The next task, or why there is none. Depends on the loop alone."""
        ends: list[Stop] = []
        for task, start in self._starts(loop):
            end = verdict(self._history(loop, task), self._limits, start)
            if end is None:
                return task
            ends.append(Stop(*end))
            if end[0] == "blocked":
                break
        failed = next((end for end in ends if end.reason != "passed"), None)
        if failed is None and len(ends) > 1 and ends[-1].message:
            return Stop("passed", f"every check of all {len(ends)} tasks passes")
        return failed or ends[-1]

    def describe_progress(self, loop: Loop) -> str:
        """Whether the latest iteration brought the loop on, in a line; "" before the first, and after one that had nothing to do."""
        if not loop.attempts:
            return ""
        for task, start in self._starts(loop):
            if task.id == loop.episodes[-1].task.id:
                history = self._history(loop, task)
                if not history[-1].asked:
                    break
                number = describe_iteration(loop.attempts[-1].position + 1, len(history), self._limits.iterations)
                return f"{number}: {progress(history, start)[1]}"
        return ""

    def _starts(self, loop: Loop) -> list[tuple[Task, str]]:
        """Each task with the tree that it starts from: its own start, or the best of the task before it."""
        starts, commit = [], loop.start_commit
        for task in self._tasks:
            commit = task.start or commit
            starts.append((task, self._tree_of(commit)))
            commit = best(loop, task.id) or commit
        return starts

    def _history(self, loop: Loop, task: Task) -> list[Iteration]:
        """The iterations of a task, each with the notes that it left."""
        notes = {episode.position: episode.notes_after or "" for episode in loop.episodes if episode.kind == "notes"}
        attempts = [episode for episode in loop.attempts if episode.task.id == task.id]
        return [self._iteration(episode, notes.get(episode.position, episode.notes_before)) for episode in attempts]

    def _iteration(self, episode: Episode, notes: str) -> Iteration:
        outcome = episode.outcome
        return Iteration(
            tree=self._tree_of(episode.commit) if episode.commit else "",
            reward=outcome.reward if outcome else 0.0,
            failed=outcome.failed if outcome else (),
            passed=bool(outcome and outcome.passed),
            notes=notes,
            blocker=claim_of(episode).blocked,
            asked=episode.end != "passed",
        )
