"""The plan of a Ralph loop: each task again and again until its checks pass, or a rule of `stop` ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from codagent.agent.loop import Plan
from codagent.repository.attempts import best, claimed
from codagent.runner.stop import Iteration, progress, verdict
from codagent.store.record import solved
from codagent.types import Episode, Limits, Loop, Task


def again(tasks: Sequence[Task], limits: Limits, *, tree_of: Callable[[str], str], say: Callable[[str], None] = lambda _: None) -> Plan:
    """A task that is not passed gives way to the next, unless only a person can help; the loop ends as its first such task did.

    `tree_of` gives a commit's tree; `say` hears of each iteration whether it counts as progress, and of the end why.
    """
    trees = cache(tree_of)

    def plan(loop: Loop) -> Task | str:
        ends: list[tuple[str, str]] = []
        begin = loop.start_commit
        for task in tasks:
            history, start = _history(loop, task, trees), trees(begin)
            if history and loop.episodes[-1].task.id == task.id:
                say(f"iteration {len(history)} of {limits.iterations}: {progress(history, start)[1]}")
            over = verdict(history, limits, start)
            if over is None:
                return task
            ends.append(over)
            if over[0] == "blocked":
                break
            begin = best(loop, task.id) or begin
        word, why = next((over for over in ends if over[0] != "passed"), ends[-1])
        say(why)
        return word

    return plan


def _history(loop: Loop, task: Task, tree_of: Callable[[str], str]) -> list[Iteration]:
    """The iterations of a task, each with the notes that it left."""
    carried = {episode.position: episode.notes_after or "" for episode in loop.episodes if episode.kind == "notes"}
    mine = [episode for episode in solved(loop) if episode.task.id == task.id]
    return [_iteration(episode, carried.get(episode.position, episode.notes_before), tree_of) for episode in mine]


def _iteration(episode: Episode, notes: str, tree_of: Callable[[str], str]) -> Iteration:
    outcome = episode.outcome
    return Iteration(
        tree=tree_of(episode.commit) if episode.commit else "",
        reward=outcome.reward if outcome else 0.0,
        failed=outcome.failed if outcome else (),
        passed=bool(outcome and outcome.passed),
        notes=notes,
        blocker=claimed(episode).blocked,
    )
