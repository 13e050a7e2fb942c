"""A control for notes: the player has all earlier attempts of the loop before it, word for word, in place of notes."""

from __future__ import annotations

from codagent.protocols import Environment
from codagent.types import Message, Observation, Outcome, Task, Tool


class RawHistory:
    """An Environment around another one. It puts what was shown, answered and judged in earlier attempts in place of the notes.

    Of a history longer than `max_bytes` the oldest attempts are left out.
    """

    passes = False

    def __init__(self, inner: Environment, max_bytes: int) -> None:
        self._inner, self._max_bytes = inner, max_bytes
        self._attempts: list[str] = []
        self._lines: list[str] = []

    @property
    def tools(self) -> tuple[Tool, ...]:
        return self._inner.tools

    def reset(self, task: Task, notes: str) -> tuple[Message, ...]:
        del notes
        if self._lines:
            self._attempts.append("\n".join(self._lines))
        while self._attempts and len("\n".join(self._attempts).encode()) > self._max_bytes:
            self._attempts.pop(0)
        messages = self._inner.reset(task, "\n".join(self._attempts))
        self._lines = [message.content for message in messages if message.role != "system"]
        return messages

    def step(self, message: Message) -> Observation:
        observation = self._inner.step(message)
        self._lines += [message.content, *(shown.content for shown in observation.messages)]
        return observation

    def grade(self) -> Outcome | None:
        outcome = self._inner.grade()
        self._lines += [text for text in (self._inner.describe_state(), outcome.feedback if outcome else "") if text]
        return outcome

    def save_work(self, outcome: Outcome | None) -> str | None:
        return self._inner.save_work(outcome)

    def describe_state(self) -> str:
        return self._inner.describe_state()
