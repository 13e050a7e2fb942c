"""Patterns for paths; a path has '/' between its names and none at its start."""

from __future__ import annotations

import re
from functools import lru_cache


def matches(pattern: str, path: str) -> bool:
    """Whether the whole of `path` fits `pattern`."""
    return compile_pattern(pattern).fullmatch(path) is not None


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern), re.DOTALL)


def translate(pattern: str) -> str:
    """The regular expression for `pattern`.

    '?' is one character and '*' any number of characters of a name; '**/' is any
    number of folders, also none; '**' at the end is everything that follows.
    """
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**", at):
            parts.append(".+")
            at += 2
        elif pattern[at] == "*":
            parts.append("[^/]*")
            at += 1
        elif pattern[at] == "?":
            parts.append("[^/]")
            at += 1
        else:
            parts.append(re.escape(pattern[at]))
            at += 1
    return "".join(parts)
