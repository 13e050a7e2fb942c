"""Balances for people to read."""

from __future__ import annotations

from collections.abc import Mapping

from .money import show


def statement(balances: Mapping[str, int]) -> str:
    """A line for each name, the amounts one under the other."""
    names = max(map(len, balances), default=0)
    amounts = max((len(show(value)) for value in balances.values()), default=0)
    return "\n".join(f"{name:<{names}}  {show(value):>{amounts}}" for name, value in balances.items())
