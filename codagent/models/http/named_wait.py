"""How long a server asks its clients to wait: in a header, in the text of an error, or in the details that Google's APIs add to one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_PART = r"\d+(?:\.\d+)?\s*(?:h|ms|m|s)[a-z]*[\s,]*"
_IN_TEXT = re.compile(rf"(?:retrydelay\W+|(?:retry|try again) (?:in|after) )((?:{_PART})+)", re.IGNORECASE)
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(h|ms|m|s)", re.IGNORECASE)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def wait_in_headers(headers: Mapping[str, str]) -> float | None:
    """Return the seconds in `retry-after-ms` or `retry-after`, which may be a date. None: there are none that can be read."""
    milliseconds = _read_number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    value = headers.get("retry-after")
    seconds = _read_number(value)
    if seconds is None and value:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return None if seconds is None else max(0.0, seconds)


def wait_in_text(text: str) -> float | None:
    """Return the longest wait that a text names, in seconds: `"retryDelay": "7s"`, `retry in 7.2s`, `try again in 6m0s`. None: none."""
    waits = [sum(float(amount) * _SECONDS[unit.lower()] for amount, unit in _AMOUNT.findall(found)) for found in _IN_TEXT.findall(text)]
    return max(waits, default=None)


def _read_number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return None if math.isnan(number) else number
