"""The time between busy slots."""

from __future__ import annotations

from collections.abc import Iterable

from .clock import parse_time
from .merge import merge
from .slot import Slot


def free(busy: Iterable[Slot], day_start: str, day_end: str, *, at_least: int = 1) -> list[Slot]:
    """Gaps of `at_least` minutes between `day_start` and `day_end` in which nothing is busy."""
    start, end = parse_time(day_start), parse_time(day_end)
    gaps = []
    for slot in merge(clip(busy, start, end)):
        if slot.start - start >= at_least:
            gaps.append(Slot(start, slot.start))
        start = slot.end
    if end - start >= at_least:
        gaps.append(Slot(start, end))
    return gaps


def clip(slots: Iterable[Slot], start: int, end: int) -> list[Slot]:
    """The parts of `slots` that lie between `start` and `end`."""
    clipped = []
    for slot in slots:
        first, last = max(slot.start, start), min(slot.end, end)
        if first < last:
            clipped.append(Slot(first, last))
    return clipped
