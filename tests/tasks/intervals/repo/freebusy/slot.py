"""Stretches of one day."""

from __future__ import annotations

from dataclasses import dataclass

from .clock import parse_time, show_time


@dataclass(frozen=True, order=True)
class Slot:
    """From `start` up to, but without, `end`, both in minutes since midnight."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"a slot must end after it starts: {self}")

    def __str__(self) -> str:
        return f"{show_time(self.start)}-{show_time(self.end)}"

    @property
    def minutes(self) -> int:
        return self.end - self.start


def parse_slots(text: str) -> list[Slot]:
    """'09:00-10:30, 13:00-14:00' as slots, in the order written."""
    slots = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        start, dash, end = part.partition("-")
        if not dash:
            raise ValueError(f"not a slot: {part!r}")
        slots.append(Slot(parse_time(start), parse_time(end)))
    return slots
