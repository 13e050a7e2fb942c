"""How well a cache does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Stats:
    hits: int = 0
    misses: int = 0

    @property
    def ratio(self) -> float:
        """The share of hits, 0.0 before the first call."""
        calls = self.hits + self.misses
        return self.hits / calls if calls else 0.0

    def __str__(self) -> str:
        return f"{self.hits} hits, {self.misses} misses"
