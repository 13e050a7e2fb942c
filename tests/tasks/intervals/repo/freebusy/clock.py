"""Times of a day as text and as minutes since midnight."""

from __future__ import annotations

import re

_TIME = re.compile(r"(\d{1,2}):(\d{2})")


def parse_time(text: str) -> int:
    """'09:30' as 570; '24:00' is the end of the day."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a time: {text!r}")
    hours, minutes = int(match[1]), int(match[2])
    if minutes > 59 or hours * 60 + minutes > 24 * 60:
        raise ValueError(f"not a time of a day: {text!r}")
    return hours * 60 + minutes


def show_time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
