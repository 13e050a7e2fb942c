"""Colours of a terminal: a patch with its control characters escaped, and text that is less important."""

from __future__ import annotations

from codagent.text import escape_controls

_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m", "d": "\x1b[1m"}
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


def paint(patch: str, *, color: bool) -> str:
    """Return the patch with added lines in green and removed lines in red. Control characters in it are escaped."""
    lines = escape_controls(patch).splitlines()
    if not color:
        return "\n".join(lines)
    return "\n".join(f"{_COLOURS[line[0]]}{line}{_PLAIN}" if line[:1] in _COLOURS else line for line in lines)


def dim(text: str) -> str:
    """Return the text in a weaker colour."""
    return f"{_DIM}{text}{_PLAIN}"
