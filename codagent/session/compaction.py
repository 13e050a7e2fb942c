"""The summary that a conversation goes on with when it becomes too long: the model writes it, as an episode on record."""

from __future__ import annotations

from collections.abc import Sequence

from codagent.prompts import prompt
from codagent.session.conversation import append_text
from codagent.types import Message, Observation, Outcome, Task, Tool

ATTEMPTS = 2
SUMMARY_TOKENS = 1_500  # of the reply
NO_TOOL = "error: no tool may be called now. Write the summary, and nothing else."


class Compaction:
    """An Environment in which the only thing to do is to write the summary. It asks with the same messages and tools as the turns do, so
    that a provider has them cached. `summary` is "" until it has come."""

    passes = False

    def __init__(self, messages: tuple[Message, ...], tools: Sequence[Tool], wish: str = "") -> None:
        """`wish` is what the person wants to have in the summary; "": nothing special."""
        self._messages, self._wish = messages, wish
        self.tools = tuple(tools)
        self.summary = ""

    def reset(self, task: Task, notes: str) -> tuple[Message, ...]:  # noqa: ARG002 - the messages say it all
        return append_text(self._messages, "\n\n".join(filter(None, [prompt("compact"), self._wish])))

    def step(self, message: Message) -> Observation:
        if message.tool_calls:
            return Observation(tuple(Message("tool", NO_TOOL, tool_call_id=call.id) for call in message.tool_calls))
        self.summary = message.content.strip()
        return Observation((), "finished")

    def grade(self) -> Outcome | None:
        return None

    def save_work(self, outcome: Outcome | None) -> None:
        """Do nothing: the caller reads `summary`."""

    def describe_state(self) -> str:
        return self.summary
