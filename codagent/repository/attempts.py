"""The attempts of a loop so far: which of them the next one starts from, and a line for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codagent.repository.tools import FINISH
from codagent.text import join_names, parse_json, replace_unencodable
from codagent.types import Episode, Loop, Message, Outcome, StartFrom

_NAMED = 5  # failing checks in a sentence


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


def parse_claim(replies: Sequence[Message]) -> Claim:
    """What the last call of `finish` in these messages says; empty when there is none."""
    calls = [call for message in replies for call in message.tool_calls if call.name == FINISH.name]
    if not calls:
        return Claim()
    try:
        arguments = parse_json(calls[-1].arguments)
        claim = Claim(str(arguments.get("summary") or ""), str(arguments.get("blocked") or ""))
    except (ValueError, AttributeError):
        claim = Claim(calls[-1].arguments)
    return Claim(replace_unencodable(claim.summary), replace_unencodable(claim.blocked))


def claim_of(episode: Episode) -> Claim:
    """What its agent said when it finished."""
    return parse_claim([step.reply.message for step in episode.steps])


def answer_of(episode: Episode) -> str:
    """What the agent said with its last reply: the summary of `finish` and what is in its way, else the text beside it.

    The text of a reply that calls no tool is an answer, too, also when a `finish` follows it. "": there is no answer.
    """
    before, last = [Message("assistant"), Message("assistant"), *(step.reply.message for step in episode.steps)][-2:]
    if not last.tool_calls:
        return last.content.strip()
    if all(call.name != FINISH.name for call in last.tool_calls):
        return ""
    claim = parse_claim([last])
    parts = ("" if before.tool_calls else before.content, claim.summary, claim.blocked)
    return "\n\n".join(part.strip() for part in parts if part.strip()) or last.content.strip()


def choose_attempt(begin: Attempt, attempts: Sequence[Attempt], rule: StartFrom) -> Attempt:
    """Choose the one to start from; of equally good ones the latest."""
    if rule == "start" or not attempts:
        return begin
    return attempts[-1] if rule == "last" else max(reversed((begin, *attempts)), key=lambda attempt: attempt.reward)


class AttemptHistory:
    """The attempts of a loop at its current task, and how many there were at all tasks."""

    def __init__(self, begin: str, rule: StartFrom) -> None:
        """`begin` is the commit that the first attempt starts from."""
        self._begin, self._rule = Attempt(begin, None), rule
        self.start = self._begin  # of the latest attempt
        self.attempts: list[Attempt] = []
        self.count = 0

    @property
    def best(self) -> Attempt:
        """The best of the attempts and of what the task began with; of equally good ones the latest."""
        return choose_attempt(self._begin, self.attempts, "best")

    @property
    def latest(self) -> Attempt:
        """The latest attempt; what the task began with when there is none."""
        return self.attempts[-1] if self.attempts else self._begin

    def begin_task(self, start: str = "") -> None:
        """Begin another task with the commit `start`. "": with the best of the task before."""
        self._begin, self.attempts = Attempt(start or self.best.commit, None), []

    def choose_start(self) -> Attempt:
        """Choose what the next attempt starts from."""
        self.start = choose_attempt(self._begin, self.attempts, self._rule)
        return self.start

    def know(self, graded: Attempt) -> None:
        """Remember the gates' verdict on what the task began with."""
        if graded.commit == self._begin.commit and self._begin.outcome is None:
            self._begin = graded

    def add(self, position: int, attempt: Attempt) -> None:
        """Add the loop's attempt at `position`. It replaces the latest one if that has this position, because its save was interrupted."""
        if position < self.count:
            self.attempts.pop()
        self.attempts.append(attempt)
        self.count = position + 1


def best(loop: Loop, task_id: str | None = None) -> str | None:
    """The commit of the best attempt at a task; None: at its last one, since each begins with the best of the one before."""
    kept = [episode for episode in loop.attempts if episode.commit]
    attempts = [Attempt(str(episode.commit), episode.outcome) for episode in kept if episode.task.id == (task_id or kept[-1].task.id)]
    return choose_attempt(attempts[0], attempts, "best").commit if attempts else None


def describe_attempts(attempts: Sequence[Attempt]) -> str:
    """Describe each attempt in a line, numbered from 1."""
    return "\n".join(f"{number}. {_describe(attempt)}" for number, attempt in enumerate(attempts, 1))


def _describe(attempt: Attempt) -> str:
    summary = " ".join((attempt.claim.blocked or attempt.claim.summary).split())[:160]
    return f"{verdict_label(attempt.outcome)}{f': {summary}' if summary else ''}"


def describe_checks(outcome: Outcome) -> str:
    """The gates' verdict for a person: `passed`, or how many checks pass and which do not."""
    old = ", as an earlier command judged the same files" if outcome.kept else ""
    if outcome.passed:
        return f"passed{old}"
    names = [name.rpartition("::")[2] for name in outcome.failed]
    failing = f"; failing: {join_names(names, _NAMED)}" if names else ""
    share = f"{outcome.total - len(names):,} of {outcome.total:,} pass" if outcome.total else "not all pass"
    return f"{share}{failing}{old}"


def verdict_label(outcome: Outcome | None) -> str:
    """The gates' verdict in a few words; None: not judged."""
    if outcome is None:
        return "not judged"
    failed = f", {len(outcome.failed)} did not pass" if outcome.failed else ""
    return "passed" if outcome.passed else f"failed, reward {outcome.reward:.2f}{failed}"
