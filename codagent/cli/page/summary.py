"""Summarize a recorded loop: its iterations, what they used and changed, and why the loop ended, in plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from codagent.runner.endings import sentence_of
from codagent.runner.result import is_session
from codagent.session.conversation import is_act
from codagent.store.codec import decode
from codagent.text import count
from codagent.types import Episode, Limits, Loop


@dataclass(frozen=True, slots=True)
class Usage:
    """What some episodes used."""

    tokens: int  # of prompts and replies
    usd: float | None  # None: the price of at least one reply is not known
    seconds: float  # time in steps


@dataclass(frozen=True, slots=True)
class IterationSummary:
    """One attempt at a task, with what followed from it."""

    attempt: Episode
    notes: Episode | None  # the rewrite of the notes after the attempt; None: there was none
    change: tuple[str, str] | None  # the commits before and after; None: no file changed

    @property
    def number(self) -> int:
        """Counted from 1."""
        return self.attempt.position + 1

    @property
    def score(self) -> float | None:
        """The gate score, 0..1. None: no gate judged the attempt."""
        outcome = self.attempt.outcome
        return None if outcome is None else min(1.0, max(0.0, outcome.reward))

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return bool(self.attempt.outcome and self.attempt.outcome.passed)

    @property
    def usage(self) -> Usage:
        """What the attempt and the rewrite of the notes used together."""
        return sum_usage([self.attempt, *([self.notes] if self.notes else [])])


def summarize_iterations(loop: Loop) -> tuple[IterationSummary, ...]:
    """Summarize each attempt of the loop, in order, or each turn of a session.

    A commit that an earlier attempt made is not a change of a later one.
    """
    rewrites = {episode.position: episode for episode in loop.episodes if episode.kind == "notes"}
    seen, summaries = {loop.start_commit}, []
    for attempt in loop.attempts:
        if is_session(loop) and is_act(attempt):
            continue
        summaries.append(IterationSummary(attempt, rewrites.get(attempt.position), _commit_pair(attempt.commit, seen)))
        seen.add(attempt.commit or "")
    return tuple(summaries)


def sum_usage(episodes: Sequence[Episode]) -> Usage:
    """Add up what the steps of the episodes used."""
    steps = [step for episode in episodes for step in episode.steps]
    costs = [step.reply.cost_usd for step in steps]
    known = [cost for cost in costs if cost is not None]
    return Usage(
        tokens=sum(step.reply.prompt_tokens + step.reply.completion_tokens for step in steps),
        usd=sum(known) if len(known) == len(costs) else None,
        seconds=sum(step.seconds for step in steps),
    )


def read_limits(loop: Loop) -> Limits | None:
    """Read the limits that the loop ran under. None: its record does not say."""
    try:
        return decode(Limits, loop.settings["limits"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def describe_verdict(loop: Loop, iterations: Sequence[IterationSummary]) -> str:
    """Say in a few words whether the work is accepted; of a session, how many turns it has."""
    if is_session(loop):
        return count(len(iterations), "turn")
    passed: dict[str, bool] = {}  # by task
    for iteration in iterations:
        task_id = iteration.attempt.task.id
        passed[task_id] = passed.get(task_id, False) or iteration.passed
    if not passed:
        return "Nothing was done"
    if len(passed) > 1:
        return f"{sum(passed.values())} of {len(passed)} tasks passed"
    if all(passed.values()):
        return "Passed"
    return "Not passed" if any(iteration.score is not None for iteration in iterations) else "Not judged"


def explain_end(loop: Loop, iterations: Sequence[IterationSummary]) -> str:
    """Say why the loop ended and, if no attempt passed, what the best score was."""
    cause = loop.episodes[-1].cause if loop.episodes and loop.episodes[-1].end == loop.end else ""
    sentences = [describe_end(loop.end, cause) if loop.end else "It has not ended, or it was killed."]
    scores = [(iteration.score, -iteration.number) for iteration in iterations if iteration.score is not None]
    if scores and not any(iteration.passed for iteration in iterations):
        score, number = max(scores)
        sentences.append(f"The best score was {score:.2f} of 1, in iteration {-number}.")
    return " ".join(sentences)


def describe_end(end: str | None, cause: str) -> str:
    """Turn the word for an end into a sentence, and add the sentence with its cause. "" as `cause`: there is none."""
    sentence = sentence_of(end)
    return f"{sentence[0].upper()}{sentence[1:]}. {cause}".rstrip()


def _commit_pair(commit: str | None, seen: set[str]) -> tuple[str, str] | None:
    """Pair a commit with its parent, for git. None for a commit in `seen`, and for what is not the id of a commit.

    A record may come from anywhere, so nothing but an id may reach git's command line.
    """
    if commit is None or commit in seen or not re.fullmatch(r"[0-9a-f]{7,64}", commit):
        return None
    return f"{commit}^", commit
