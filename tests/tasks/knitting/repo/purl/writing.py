"""Written patterns out of charts."""

from __future__ import annotations

from collections.abc import Iterable

from .stitches import WRITTEN


def pattern(rows: Iterable[str]) -> str:
    """A line for each row: 'row 1: k2 p2 k2'."""
    return "\n".join(f"row {number}: {written(row)}" for number, row in enumerate(rows, start=1))


def written(row: str) -> str:
    return " ".join(f"{WRITTEN[stitch]}{length}" for stitch, length in runs(row))


def runs(row: str) -> list[tuple[str, int]]:
    """The stretches of equal stitches in their order, each as the stitch and how many there are."""
    found: list[tuple[str, int]] = []
    current, length = "", 0
    for stitch in row:
        if stitch == current:
            length += 1
        else:
            if length:
                found.append((current, length))
            current, length = stitch, 1
    return found
