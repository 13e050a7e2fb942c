"""Quoted text: what somebody else wrote, marked with '>'."""

from __future__ import annotations

from .wrapping import wrap

MARK = ">"


def quote(text: str, width: int = 72) -> list[str]:
    """Every line of `text` marked and wrapped; what is quoted already gets one more mark and is not wrapped."""
    quoted: list[str] = []
    for line in text.splitlines():
        if line.startswith(MARK):
            quoted.append(MARK + line)
        elif line.strip():
            quoted.extend(f"{MARK} {part}" for part in wrap(line, width - 2))
        else:
            quoted.append(MARK)
    return quoted


def unquote(line: str) -> tuple[int, str]:
    """How deep a line is quoted, and its text."""
    depth = len(line) - len(line.lstrip(MARK))
    return depth, line[depth:].removeprefix(" ") if depth else line
