"""Finds which file a fenced block shows, from the text around the block."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

_PATH = re.compile(r"(?<![\w/.:@-])(?:[\w.-]+/)*[\w-][\w.-]*\.[A-Za-z]\w{0,9}(?![\w/(])|\b(?:Makefile|Dockerfile)\b")
_COMMENT = re.compile(r"^\s*(?:#|//|--|;|/\*|<!--)\s*(?:file(?:name)?:\s*)?(\S+?)\s*(?:\*/|-->)?\s*$", re.IGNORECASE)
_SUFFIXES = {
    "python": ".py",
    "javascript": ".js",
    "typescript": ".ts",
    "rust": ".rs",
    "ruby": ".rb",
    "markdown": ".md",
    "csharp": ".cs",
    "c++": ".cpp",
    "kotlin": ".kt",
    "shell": ".sh",
}


def find_path(info: str, before: str, body: str, files: Sequence[str]) -> tuple[str | None, str]:
    """Return the path that a block is labelled with, and the block's body without that label. The path is None when there is no label.

    The label is one of these, in this order: the path on the fence; the path on the line above, if it is alone there, ends the line, or is
    one of `files`; the path in a comment that is the body's first line; the only one of `files` in the block's language.
    """
    on_fence = _only_path(info.replace(":", " ", 1) if not info.startswith(":") else info[1:])
    if on_fence:
        return _match_file(on_fence, files) or on_fence, body
    above = _only_path(before)
    if above and (_match_file(above, files) or before.strip("*#`_> :").endswith(above)):
        return _match_file(above, files) or above, body
    first, _, rest = body.partition("\n")
    comment = _COMMENT.match(first)
    if comment and _PATH.fullmatch(comment[1]):
        return _match_file(comment[1], files) or comment[1], rest
    alike = [path for path in files if info and PurePosixPath(path).suffix == _SUFFIXES.get(info.lower(), f".{info.lower()}")]
    return (alike[0], body) if len(alike) == 1 and rest else (None, body)


def _only_path(text: str) -> str | None:
    """Return the path in `text`. Returns None when there is no path, or more than one."""
    found = set(_PATH.findall(text))
    return found.pop() if len(found) == 1 else None


def _match_file(path: str, files: Sequence[str]) -> str | None:
    """Return the one of `files` that equals `path` or ends with it. Returns None when there is none, or more than one."""
    found = [file for file in files if file == path or file.endswith(f"/{path}")]
    return found[0] if len(found) == 1 else None
