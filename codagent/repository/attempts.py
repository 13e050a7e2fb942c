"""What became of a loop's attempts so far: which of them the next one starts from, and how each is told in a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from codagent.repository.tools import FINISH
from codagent.store.record import solved
from codagent.types import Episode, Loop, Message, Outcome

Start = Literal["best", "last", "start"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What the agent says itself when it finishes: what it did, and what stands in its way, if anything does."""

    summary: str = ""
    blocked: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A commit, what the gates say of it, and what the agent said."""

    commit: str
    outcome: Outcome | None
    claim: Claim = Claim()

    @property
    def reward(self) -> float:
        return self.outcome.reward if self.outcome else 0.0


def claim(replies: Sequence[Message]) -> Claim:
    """What the last call of `finish` in these messages says; empty when there is none."""
    calls = [call for message in replies for call in message.tool_calls if call.name == FINISH.name]
    if not calls:
        return Claim()
    try:
        said = json.loads(calls[-1].arguments, strict=False)
        return Claim(str(said.get("summary") or ""), str(said.get("blocked") or ""))
    except (ValueError, AttributeError):
        return Claim(calls[-1].arguments)


def claimed(episode: Episode) -> Claim:
    """What its agent said when it finished."""
    return claim([step.reply.message for step in episode.steps])


def choose(begin: Attempt, attempts: Sequence[Attempt], rule: Start) -> Attempt:
    """The one to start from; of equally good ones the latest."""
    if rule == "start" or not attempts:
        return begin
    return attempts[-1] if rule == "last" else max(reversed((begin, *attempts)), key=lambda attempt: attempt.reward)


def best(loop: Loop, task_id: str | None = None) -> str | None:
    """The commit of the best attempt at a task; None: at its last one, since each begins with the best of the one before."""
    kept = [episode for episode in solved(loop) if episode.commit]
    attempts = [Attempt(str(episode.commit), episode.outcome) for episode in kept if episode.task.id == (task_id or kept[-1].task.id)]
    return choose(attempts[0], attempts, "best").commit if attempts else None


def told(attempts: Sequence[Attempt]) -> str:
    """A line for each."""
    return "\n".join(f"{number}. {_told(attempt)}" for number, attempt in enumerate(attempts, 1))


def _told(attempt: Attempt) -> str:
    summary = " ".join((attempt.claim.blocked or attempt.claim.summary).split())[:160]
    return f"{word(attempt.outcome)}{f': {summary}' if summary else ''}"


def word(outcome: Outcome | None) -> str:
    """The gates' verdict in a few words."""
    if outcome is None:
        return "not judged"
    failed = f", {len(outcome.failed)} did not pass" if outcome.failed else ""
    return "passed" if outcome.passed else f"failed, reward {outcome.reward:.2f}{failed}"
