"""Amounts as text and as whole cents."""

from __future__ import annotations

import re

AMOUNT = re.compile(r"(-?)(\d+)(?:\.(\d\d))?")


def cents(text: str) -> int:
    """'12.50' or '12' in cents."""
    amount = AMOUNT.fullmatch(text)
    if not amount:
        raise ValueError(f"{text!r} is no amount")
    sign, whole, rest = amount.groups()
    value = 100 * int(whole) + int(rest or 0)
    return -value if sign else value


def show(value: int) -> str:
    whole, rest = divmod(abs(value), 100)
    return f"{'-' if value < 0 else ''}{whole}.{rest:02}"
