"""What a model does and the end of what it writes or thinks, for a line that changes meanwhile."""

from __future__ import annotations

from codagent.protocols import CallText, PromptProgress, Restart, Thought
from codagent.text import sanitize

WAITING, CHECKING, NOTING = "waiting for the model", "the work is brought out and checked", "the notes are written"
_LENGTH = 400


def describe_piece(text: str) -> str:
    """Say what the model does, as a piece of its reply shows it. "": the piece does not show it."""
    if isinstance(text, Restart):
        return WAITING
    if isinstance(text, PromptProgress):
        return f"the model reads: {text}"
    if isinstance(text, Thought | CallText):
        return "the model thinks" if isinstance(text, Thought) else "the model writes a call"
    return "the model answers" if text else ""


def last_line(output: str) -> str:
    """Return the last line of a command's output that is not empty, as a terminal can show it. "": there is none."""
    return next((line.strip() for line in reversed(sanitize(output).split("\n")) if line.strip()), "")


class Tail:
    """Holds the latest characters, either of the answer or of what the model thinks before it."""

    def __init__(self) -> None:
        self._text = ""
        self.is_thought = False

    def add(self, text: str) -> None:
        """Add a piece. When the model goes over from thinking to writing, or back, what was before is dropped."""
        if not text or isinstance(text, PromptProgress):
            return
        if isinstance(text, Thought) is not self.is_thought:
            self._text, self.is_thought = "", not self.is_thought
        self._text = (self._text + text)[-_LENGTH:]

    def shown(self) -> str:
        """Return the end of it as one line that a terminal can show; "" when nothing was written."""
        return " ".join(sanitize(self._text).split())
