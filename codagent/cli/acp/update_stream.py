"""A Display that sends what happens in a session to an editor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acp import helpers
from acp.schema import Cost, UsageUpdate

from codagent.cli.acp.permission import Permission
from codagent.cli.acp.updates import describe_answer, describe_call, describe_checks
from codagent.cli.session.view.ink import clean
from codagent.cli.session.view.meter import Meter
from codagent.protocols import CallText, PromptProgress, Restart, Stop, Thought
from codagent.runner.display import LoopView
from codagent.session.answered import Answered
from codagent.types import Episode, Loop, Message, Reply, Step, Task

if TYPE_CHECKING:
    from codagent.mcp.tools import CallAnswer


class UpdateStream:
    """Sends updates of one session, in the order in which things happen. Sentences of codagent's own are sent as thoughts."""

    def __init__(self, root: Path, send: Callable[[Any], None]) -> None:
        """`send` takes an update from any thread."""
        self._root, self._send = root, send
        self.meter = Meter()
        self.permission: Permission | None = None  # asks the editor; None: the session has no id so far, and calls nothing
        self._calls: deque[str] = deque()  # the ids of calls that have no answer so far
        self._made = 0  # calls so far
        self._streamed = self._summing = False  # whether pieces of the present reply were sent, and whether it is a summary

    def say(self, line: str) -> None:
        self._send(helpers.update_agent_thought_text(clean(line) + "\n"))

    def tell(self, text: str) -> None:
        """Send Markdown as a message of its own."""
        self._send(helpers.update_agent_message_text(clean(text) + "\n\n"))

    def ask_call(self, _: Callable[[str], None], line: str, check: Callable[[], None]) -> CallAnswer:
        """Ask the editor whether the earliest call without an answer may be made."""
        return self.permission.ask(self._calls[0], clean(line), check) if self.permission and self._calls else "no"

    def watch(self, view: LoopView) -> None:
        """Send nothing: the meter counts by itself."""

    def close(self) -> None:
        """Do nothing: the connection is not the display's."""

    def on_text(self, text: str) -> None:
        if isinstance(text, Restart):
            self.say(str(text))
        elif isinstance(text, Thought) and text:
            self._send(helpers.update_agent_thought_text(clean(text)))
        elif text and not isinstance(text, CallText | PromptProgress) and not self._summing:
            self._streamed = True
            self._send(helpers.update_agent_message_text(clean(text)))

    def on_output(self, text: str) -> None:
        """Send the end of what the earliest call without an answer has printed so far."""
        if self._calls:
            self._send(helpers.update_tool_call(self._calls[0], content=[helpers.tool_content(helpers.text_block(clean(text)))]))

    def on_episode_start(self, episode: Episode) -> None:
        self._summing = episode.kind == "notes"
        if self._summing:
            self.say("the conversation is summed up")

    def on_reply(self, reply: Reply, context: tuple[Message, ...] | None) -> None:  # noqa: ARG002 - an observer hears it all
        if reply.message.content and not self._streamed and not self._summing:
            self._send(helpers.update_agent_message_text(clean(reply.message.content)))
        self._streamed = False
        self.meter.count(reply)
        for call in reply.message.tool_calls:
            self._made += 1
            self._calls.append(f"call-{self._made}")
            self._send(describe_call(call, self._calls[-1], self._root))

    def on_answer(self, answered: Answered) -> None:
        """Send the answer of the earliest call that has none."""
        self._send(describe_answer(answered, self._calls.popleft(), self._root))

    def on_step(self, step: Step) -> None:  # noqa: ARG002
        self._send_usage()

    def on_episode_end(self, episode: Episode) -> None:
        self._streamed = False
        self._calls.clear()
        self.meter.note(episode)
        if episode.outcome:
            self._send(describe_checks(episode.task.checks, episode.outcome))
            self.tell("All checks pass." if episode.outcome.passed else f"The checks do not pass:\n\n```\n{episode.outcome.feedback}\n```")

    def on_iteration(self, loop: Loop, following: Task | Stop) -> None:
        """Send nothing: a session has no iterations."""

    def _send_usage(self) -> None:
        meter = self.meter
        if meter.context and meter.window:
            cost = Cost(amount=meter.usd, currency="USD") if meter.usd else None
            self._send(UsageUpdate(session_update="usage_update", used=meter.context, size=meter.window, cost=cost))
