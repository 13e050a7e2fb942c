"""The pairs of a query."""

from __future__ import annotations

from dataclasses import dataclass

from .coding import decode, encode


@dataclass(frozen=True)
class Query:
    """Names with values in the order of the link; a name may be there again and again."""

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, link: str) -> Query:
        """The query of a whole link; empty if it has none."""
        return cls.parse(link.partition("#")[0].partition("?")[2])

    @classmethod
    def parse(cls, text: str) -> Query:
        """A name without '=' has an empty value; empty pairs are skipped."""
        pairs = (part.partition("=") for part in text.split("&") if part)
        return cls(tuple((decode(name), decode(value)) for name, _, value in pairs))

    def all(self, name: str) -> list[str]:
        return [value for other, value in self.pairs if other == name]

    def first(self, name: str, default: str = "") -> str:
        return next(iter(self.all(name)), default)

    def put(self, name: str, value: str) -> Query:
        """The query with `value` at its end in place of all that `name` had."""
        others = (pair for pair in self.pairs if pair[0] != name)
        return Query((*others, (name, value)))

    def __str__(self) -> str:
        return "&".join(f"{encode(name)}={encode(value)}" for name, value in self.pairs)
