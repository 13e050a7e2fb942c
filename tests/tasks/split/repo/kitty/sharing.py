"""Shares of an amount."""

from __future__ import annotations

from collections.abc import Mapping


def split(amount: int, weights: Mapping[str, int]) -> dict[str, int]:
    """The share of each name in `amount`, in proportion to its weight; both in whole cents.

    The shares add up to the amount. What rounding down leaves over goes to the first
    names, one cent each.
    """
    if not weights or min(weights.values()) < 1:
        raise ValueError("every share needs a weight of at least 1")
    total = sum(weights.values())
    return {name: round(amount * weight / total) for name, weight in weights.items()}
