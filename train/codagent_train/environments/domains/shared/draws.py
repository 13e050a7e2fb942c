"""Random draws that are the same in all versions of Python: nothing but `random()` is called on the generator."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, log, pi, sqrt
from random import Random
from typing import TypeVar

_Item = TypeVar("_Item")


class Draws:
    """A sequence of random draws that follows from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed).random  # noqa: S311

    def real(self, low: float, high: float) -> float:
        """Draw from [low, high), uniformly."""
        return low + (high - low) * self._random()

    def integer(self, low: int, high: int) -> int:
        """Draw a whole number from low to high, both included, uniformly."""
        return low + int(self._random() * (high - low + 1))

    def choice(self, items: Sequence[_Item]) -> _Item:
        return items[self.integer(0, len(items) - 1)]

    def weighted(self, items: Sequence[_Item], weights: Sequence[float]) -> _Item:
        """Draw an item with a probability in proportion to its weight."""
        point = self.real(0.0, sum(weights))
        for item, weight in zip(items, weights, strict=True):
            if point < weight:
                return item
            point -= weight
        return items[-1]

    def sample(self, items: Sequence[_Item], count: int) -> list[_Item]:
        """Draw `count` different items, in random order."""
        rest = list(items)
        return [rest.pop(self.integer(0, len(rest) - 1)) for _ in range(count)]

    def shuffle(self, items: Sequence[_Item]) -> list[_Item]:
        """Return the items in random order."""
        return self.sample(items, len(items))

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def normal(self) -> float:
        """Draw from the standard normal distribution."""
        return sqrt(-2.0 * log(1.0 - self._random())) * cos(2.0 * pi * self._random())
