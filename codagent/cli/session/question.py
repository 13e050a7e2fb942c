"""A question to the person in the middle of a turn. The next line that is typed is the answer."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import TYPE_CHECKING

from codagent.cli.commands.allow import HOW_TO_ALLOW, read_answer

if TYPE_CHECKING:
    from codagent.mcp.tools import CallAnswer

_ANSWERS = ("", "y", "yes", "a", "always", "n", "no")


class Question:
    """Asks in the thread of the session, and hears the answer from that of the input line."""

    def __init__(self) -> None:
        self.read: Callable[[], None] | None = None  # reads a line where no input line is shown; None: one is
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._pending = False

    def ask_call(self, say: Callable[[str], None], line: str, _: Callable[[], None]) -> CallAnswer:
        """Ask whether a call of an MCP server's tool may be made. Ctrl-C ends the wait with KeyboardInterrupt."""
        say(f"the model wants to call {line}")
        say(HOW_TO_ALLOW)
        self._pending = True
        try:
            while self.read and self._answers.empty():
                self.read()
            return read_answer(self._answers.get())
        finally:
            self._pending = False

    def take(self, text: str) -> bool:
        """Take a line as the answer, if one is waited for. Returns whether it was no more than that.

        Any other words are a no, and they are still to be told to the model. A command is no answer.
        """
        if not self._pending or text.startswith(("/", "!")):
            return False
        self._answers.put(text)
        return text.lower() in _ANSWERS
