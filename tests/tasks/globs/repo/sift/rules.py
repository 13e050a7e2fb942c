"""Patterns in an order, as an ignore file has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .pattern import matches


@dataclass(frozen=True)
class Rule:
    pattern: str
    keep: bool = True


@dataclass(frozen=True)
class Rules:
    """The last rule that matches a path decides; a path that no rule matches is left out."""

    rules: tuple[Rule, ...]

    @classmethod
    def parse(cls, text: str) -> Rules:
        """One rule a line; '#' starts a comment line, '!' a pattern that leaves out."""
        lines = (line.strip() for line in text.splitlines())
        patterns = (line for line in lines if line and not line.startswith("#"))
        return cls(tuple(Rule(pattern.removeprefix("!"), not pattern.startswith("!")) for pattern in patterns))

    def keeps(self, path: str) -> bool:
        for rule in reversed(self.rules):
            if matches(rule.pattern, path):
                return rule.keep
        return False

    def choose(self, paths: Iterable[str]) -> list[str]:
        return [path for path in paths if self.keeps(path)]
