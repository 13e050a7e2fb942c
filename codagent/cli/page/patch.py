"""A change as coloured lines, with nothing of it hidden from the person who reads it."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import unified_diff

from codagent.cli.page.markup import Html, tag
from codagent.text import escape_controls, truncate_middle

MOST_LINES, MOST_BYTES = 800, 80_000  # what is longer loses its middle
_KINDS = {"+": "added", "-": "removed", "@": "place", "\\": "quiet"}


def patch(raw: str) -> tuple[str, Html]:
    """git's patch: how much it is in a few words, and its lines."""
    whole = escape_controls(raw).strip("\n")
    kinds = [kind for kind, _ in _lines(whole)]
    size = f"{kinds.count('added'):,} lines added, {kinds.count('removed'):,} removed"
    return size, _painted(_lines(cut(whole)))


def rewritten(before: str, after: str) -> Html | None:
    """What became of a text, shown whole; None when it is the same."""
    old, new = (cut(escape_controls(text)).split("\n") if text else [] for text in (before, after))
    lines = list(unified_diff(old, new, n=len(old), lineterm=""))[3:]  # without its names and its place
    return _painted((_KINDS.get(line[:1], "same"), line) for line in lines) if lines else None


def cut(text: str) -> str:
    """`text` without the middle of it, where it is too long for a page."""
    return truncate_middle(text.strip("\n"), max_lines=MOST_LINES, max_bytes=MOST_BYTES)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Each line with its kind; those between a file's name and its first change only name blobs and modes."""
    inside = True
    for line in text.split("\n"):
        named = line.startswith("diff ")
        inside = not named and (inside or line.startswith("@@"))
        yield "file" if named else _KINDS.get(line[:1], "same") if inside else "quiet", line


def _painted(lines: Iterator[tuple[str, str]]) -> Html:
    return tag("pre", tag("code", *(tag("span", f"{line}\n", class_=kind) for kind, line in lines)))
