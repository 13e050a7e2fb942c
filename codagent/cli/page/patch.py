"""Turn patches and texts into lines of a kind each, which the page colours. Nothing of a change is hidden from its reader."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import unified_diff

from codagent.text import escape_controls, escape_undecodable, truncate_middle

MAX_LINES, MAX_BYTES = 800, 80_000  # a longer text loses its middle
_FOLDED_FROM = 60  # lines
_KINDS = {"+": "added", "-": "removed", "@": "place", "\\": "quiet"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a change."""

    kind: str  # a class of page.css: added, removed, same, file, place, quiet
    text: str


@dataclass(frozen=True, slots=True)
class Patch:
    """A change as the page shows it."""

    size: str  # how many lines, in a few words
    lines: tuple[Line, ...]  # without the middle of a long patch


def parse_patch(raw: str) -> Patch:
    """Parse a patch that git wrote. Control characters in it become visible."""
    text = escape_controls(raw).strip("\n")
    kinds = [line.kind for line in _parse_lines(text)]
    size = f"{kinds.count('added'):,} lines added, {kinds.count('removed'):,} removed"
    return Patch(size, _parse_lines(truncate_patch(text)))


def compare_texts(before: str, after: str) -> tuple[Line, ...]:
    """Show a text whole, with the lines that were added and removed. Empty: the two are the same."""
    old, new = (truncate_patch(escape_controls(text)).split("\n") if text else [] for text in (before, after))
    changed = list(unified_diff(old, new, n=len(old), lineterm=""))[3:]  # the first three name files and a place
    return tuple(Line(_KINDS.get(line[:1], "same"), line) for line in changed)


def truncate_patch(text: str) -> str:
    """Cut the middle out of a text that is too long for a page."""
    return truncate_middle(escape_undecodable(text).strip("\n"), max_lines=MAX_LINES, max_bytes=MAX_BYTES)


def is_long(text: str) -> bool:
    """Whether the page folds the text away."""
    return text.count("\n") > _FOLDED_FROM


def _parse_lines(text: str) -> tuple[Line, ...]:
    """Find the kind of each line. Lines between the name of a file and its first change are quiet: they name blobs and modes."""
    lines, inside = [], True
    for line in text.split("\n"):
        is_file = line.startswith("diff ")
        inside = not is_file and (inside or line.startswith("@@"))
        lines.append(Line("file" if is_file else _KINDS.get(line[:1], "same") if inside else "quiet", line))
    return tuple(lines)
