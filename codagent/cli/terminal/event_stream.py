"""`--stream-json`: what happens in a loop as JSON objects, one a line, on standard output. The README describes them.

Sentences for a person still go to standard error.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from codagent.cli.terminal.output import say, warn
from codagent.protocols import PromptProgress, Restart, Stop, Thought, ignore_text
from codagent.runner.display import LoopView
from codagent.types import Episode, Loop, Message, Reply, Step, Task

SCHEMA = 1
_LOCK = threading.Lock()  # loops of a group write side by side, and a line is a whole one


def print_event(event: str, **facts: Any) -> None:
    """Print one event."""
    with _LOCK:
        say(json.dumps({"event": event, **facts}))


class EventStream:
    """A display that prints events. Each event of a loop names it."""

    on_output = staticmethod(ignore_text)  # a result has the whole output

    def __init__(self, prefix: str = "") -> None:
        """`prefix` begins the sentences for a person."""
        self._prefix, self._loop, self._iteration = prefix, "", 0
        self._streamed = False  # whether pieces of the present reply were printed

    def say(self, line: str) -> None:
        warn(f"{self._prefix}{line}")

    def watch(self, view: LoopView) -> None:
        if loop := view.loop:
            self._loop = loop.id
            self._print("start", schema=SCHEMA, model=loop.model, group=loop.group, resumed=bool(loop.episodes))

    def close(self) -> None:
        pass

    def on_text(self, text: str) -> None:
        if isinstance(text, Restart):
            self.say(text)
        if isinstance(text, Restart | PromptProgress) or not text:
            return
        self._streamed = self._streamed or not isinstance(text, Thought)
        self._print("thinking" if isinstance(text, Thought) else "text", text=str(text))

    def on_episode_start(self, episode: Episode) -> None:
        self._iteration = episode.position + 1
        if episode.kind == "solve":
            self._print("attempt", task=episode.task.instruction, checks=list(episode.task.checks))

    def on_reply(self, reply: Reply, context: tuple[Message, ...] | None) -> None:  # noqa: ARG002 - an observer hears it all
        if reply.message.content and not self._streamed:
            self._print("text", text=reply.message.content)
        self._streamed = False
        for call in reply.message.tool_calls:
            self._print("call", id=call.id, name=call.name, arguments=call.arguments)

    def on_step(self, step: Step) -> None:
        for message in step.observation.messages:
            self._print("result", id=message.tool_call_id, text=message.content)

    def on_episode_end(self, episode: Episode) -> None:
        outcome = episode.outcome
        if episode.kind == "notes":
            self._print("notes", text=episode.notes_after, replaced=bool(outcome and outcome.passed))
        elif outcome:
            self._print("gate", passed=outcome.passed, reward=outcome.reward, failed=list(outcome.failed), feedback=outcome.feedback)

    def on_iteration(self, loop: Loop, following: Task | Stop) -> None:  # noqa: ARG002
        if isinstance(following, Stop) and following.message:
            self.say(following.message)

    def _print(self, event: str, **facts: Any) -> None:
        print_event(event, loop=self._loop, iteration=self._iteration, **facts)
