"""The end of what a model writes or thinks, for a line that changes meanwhile."""

from __future__ import annotations

from codagent.protocols import Thought
from codagent.text import sanitize

_LENGTH = 400


class Tail:
    """Holds the latest characters, either of the answer or of what the model thinks before it."""

    def __init__(self) -> None:
        self._text = ""
        self.is_thought = False

    def add(self, text: str) -> None:
        """Add a piece. When the model goes over from thinking to writing, or back, what was before is dropped."""
        if not text:
            return
        if isinstance(text, Thought) is not self.is_thought:
            self._text, self.is_thought = "", not self.is_thought
        self._text = (self._text + text)[-_LENGTH:]

    def shown(self) -> str:
        """Return the end of it as one line that a terminal can show; "" when nothing was written."""
        return " ".join(sanitize(self._text).split())
