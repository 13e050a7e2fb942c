"""Colours of a terminal: a patch with its control characters escaped, and text that is less important."""

from __future__ import annotations

import unicodedata

from codagent.text import escape_controls, escape_undecodable, hide_secrets

_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m", "d": "\x1b[1m"}
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


def paint(patch: str, *, color: bool) -> str:
    """Return the patch with added lines in green and removed lines in red. Control characters in it are escaped, so nothing is hidden."""
    lines = escape_undecodable(hide_secrets(escape_controls(patch))).rstrip("\n").split("\n")
    if not color:
        return "\n".join(lines)
    return "\n".join(f"{_COLOURS[line[0]]}{line}{_PLAIN}" if line[:1] in _COLOURS else line for line in lines)


def dim(text: str) -> str:
    """Return the text in a weaker colour."""
    return f"{_DIM}{text}{_PLAIN}"


def count_columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide characters take two, and marks on other characters none."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else unicodedata.category(c) not in ("Mn", "Me", "Cf") for c in text)


def take_end(text: str, columns: int) -> str:
    """Return the end of a text that takes at most so many columns."""
    start = len(text)
    while start > 0 and (columns := columns - count_columns(text[start - 1])) >= 0:
        start -= 1
    return text[start:]


def fit(text: str, columns: int) -> str:
    """Return the beginning of a text that takes at most so many columns, with a mark when something was cut."""
    if count_columns(text) <= columns:
        return text
    end, left = 0, columns - 1
    while (left := left - count_columns(text[end])) >= 0:
        end += 1
    return f"{text[:end]}…"
