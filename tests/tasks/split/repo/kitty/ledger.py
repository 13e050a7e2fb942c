"""The payments of a group."""

from __future__ import annotations

from collections.abc import Mapping

from .sharing import split


class Ledger:
    def __init__(self) -> None:
        self._balances: dict[str, int] = {}

    def pay(self, payer: str, amount: int, weights: Mapping[str, int]) -> None:
        """`payer` lays out `amount` cents for all the names of `weights`, in proportion to them."""
        if amount <= 0:
            raise ValueError("a payment is more than nothing")
        shares = split(amount, weights)
        self._add(payer, amount)
        for name, share in shares.items():
            self._add(name, -share)

    def balances(self) -> dict[str, int]:
        """Cents that each name is to get back, or owes if less than 0; by name."""
        return dict(sorted(self._balances.items()))

    def _add(self, name: str, value: int) -> None:
        self._balances[name] = self._balances.get(name, 0) + value
