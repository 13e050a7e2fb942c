"""Lists with a hanging indent."""

from __future__ import annotations

from collections.abc import Iterable

from .wrapping import wrap


def bullets(items: Iterable[str], width: int = 72, *, mark: str = "*") -> list[str]:
    """One entry for each item that has text, its further lines under the first word."""
    indent = " " * (len(mark) + 1)
    lines: list[str] = []
    for item in items:
        for number, part in enumerate(wrap(item, width - len(indent))):
            lines.append(f"{mark} {part}" if number == 0 else indent + part)
    return lines
