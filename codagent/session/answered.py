"""What came back for a call of a tool, as a display shows it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from codagent.text import escape_controls
from codagent.types import ToolCall


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file before and after a call. A text is "" when there is no such file, or it is too long."""

    path: str
    old: str
    new: str

    def describe(self) -> str:
        """Return the change as a unified diff that a terminal can show."""
        lines = difflib.unified_diff(self.old.splitlines(), self.new.splitlines(), self.path, self.path, n=1, lineterm="")
        return "\n".join(map(escape_controls, lines))


@dataclass(frozen=True, slots=True)
class Answered:
    """A call, what came back for it, and how it changed a file."""

    call: ToolCall
    answer: str
    patch: str = ""  # a unified diff; "": no file was written
    seconds: float = 0.0
    change: FileChange | None = None  # the same as whole texts
