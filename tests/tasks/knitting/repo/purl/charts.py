"""Charts: a line for each row, a character for each stitch."""

from __future__ import annotations

from .stitches import WRITTEN, PatternError


def parse(text: str) -> list[str]:
    """The rows of a chart, all of one width; empty lines are skipped."""
    rows = [line.strip() for line in text.splitlines() if line.strip()]
    for number, row in enumerate(rows, start=1):
        unknown = sorted(set(row) - set(WRITTEN))
        if unknown:
            raise PatternError(f"row {number}: {unknown[0]!r} is no stitch")
        if len(row) != len(rows[0]):
            raise PatternError(f"row {number}: {len(row)} stitches, but row 1 has {len(rows[0])}")
    return rows
