"""What a record tells of a loop: its iterations, what they used and changed, and how it ended, in plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from codagent.store.codec import decode
from codagent.types import Episode, Limits, Loop, Outcome

_ENDS = {
    "passed": "Every gate passed.",
    "iterations": "All iterations were used.",
    "stalled": "The last iterations brought no progress.",
    "blocked": "The agent says again and again that something stands in its way.",
    "finished": "The agent asked for the gates.",
    "repeated": "The same call and the same answer came again and again.",
    "silent": "The model stopped calling tools.",
    "steps": "The steps of an attempt were used up.",
    "tokens": "The token limit was reached.",
    "usd": "The money limit was reached.",
    "seconds": "The time limit was reached.",
    "model": "The model could not go on.",
    "sandbox": "The sandbox broke.",
    "repository": "The work could not be brought back.",
    "interrupted": "It was interrupted.",
}


@dataclass(frozen=True, slots=True)
class Used:
    """What episodes took. `usd` None: the price of a reply is not known. `seconds` are those of their steps."""

    tokens: int
    usd: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Iteration:
    """One attempt, the rewrite of the notes after it, and the commits before and after where it changed anything."""

    solve: Episode
    notes: Episode | None
    change: tuple[str, str] | None

    @property
    def number(self) -> int:
        return self.solve.position + 1

    @property
    def score(self) -> float | None:
        """0..1, None where no gate judged."""
        return score(self.solve.outcome)

    @property
    def passed(self) -> bool:
        return bool(self.solve.outcome and self.solve.outcome.passed)

    @property
    def used(self) -> Used:
        return used([self.solve, *([self.notes] if self.notes else [])])


def iterations(loop: Loop) -> tuple[Iteration, ...]:
    rewrites = {episode.position: episode for episode in loop.episodes if episode.kind == "notes"}
    seen, told = {loop.start_commit}, []
    for episode in loop.attempts:
        told.append(Iteration(episode, rewrites.get(episode.position), _change(episode.commit, seen)))
        seen.add(episode.commit or "")
    return tuple(told)


def score(outcome: Outcome | None) -> float | None:
    return None if outcome is None else min(1.0, max(0.0, outcome.reward))


def used(episodes: Sequence[Episode]) -> Used:
    steps = [step for episode in episodes for step in episode.steps]
    costs = [step.reply.cost_usd for step in steps]
    known = [cost for cost in costs if cost is not None]
    return Used(
        tokens=sum(step.reply.prompt_tokens + step.reply.completion_tokens for step in steps),
        usd=sum(known) if len(known) == len(costs) else None,
        seconds=sum(step.seconds for step in steps),
    )


def limits(loop: Loop) -> Limits | None:
    """The limits that the loop ran under, where its record says."""
    try:
        return decode(Limits, loop.settings["limits"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def verdict(told: Sequence[Iteration]) -> str:
    """Whether the work is accepted, in two or three words."""
    tasks: dict[str, bool] = {}
    for iteration in told:
        tasks[iteration.solve.task.id] = tasks.get(iteration.solve.task.id, False) or iteration.passed
    if not tasks:
        return "Nothing was done"
    if len(tasks) > 1:
        return f"{sum(tasks.values())} of {len(tasks)} tasks passed"
    if all(tasks.values()):
        return "Passed"
    return "Not passed" if any(iteration.score is not None for iteration in told) else "Not judged"


def reason(loop: Loop, told: Sequence[Iteration]) -> str:
    """Why the loop ended and, where it did not pass, how far it came."""
    cause = loop.episodes[-1].cause if loop.episodes and loop.episodes[-1].end == loop.end else ""
    sentences = [ended(loop.end, cause) if loop.end else "It has not ended, or it was killed."]
    scores = [(iteration.score, -iteration.number) for iteration in told if iteration.score is not None]
    if scores and not any(iteration.passed for iteration in told):
        best, number = max(scores)
        sentences.append(f"The best gate score was {best:.2f} of 1, in iteration {-number}.")
    return " ".join(sentences)


def ended(end: str | None, cause: str) -> str:
    """An end as a sentence, with the one behind it."""
    sentence = _ENDS.get(end or "", f"It ended: {end}.")
    return f"{sentence} {cause}".rstrip()


def _change(commit: str | None, seen: set[str]) -> tuple[str, str] | None:
    """A record may come from anywhere, and what is no commit's id is not handed to git."""
    if commit is None or commit in seen or not re.fullmatch(r"[0-9a-f]{7,64}", commit):
        return None
    return f"{commit}^", commit
