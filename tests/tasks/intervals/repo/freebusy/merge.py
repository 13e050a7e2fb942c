"""Busy slots of several people as one calendar."""

from __future__ import annotations

from collections.abc import Iterable

from .slot import Slot


def merge(slots: Iterable[Slot]) -> list[Slot]:
    """The stretches of time covered by at least one of `slots`, in order.

    Slots that overlap or touch become one. The input may be in any order.
    """
    merged: list[Slot] = []
    for slot in sorted(slots):
        if merged and slot.start <= merged[-1].end:
            last = merged.pop()
            merged.append(Slot(last.start, slot.end))
        else:
            merged.append(slot)
    return merged


def busy_minutes(slots: Iterable[Slot]) -> int:
    """How many minutes are covered; a minute that is covered twice counts once."""
    return sum(slot.minutes for slot in merge(slots))
