"""Ranges: limits that a version has to keep to."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .ordering import age
from .version import Version, VersionError

LIMIT = re.compile(r"(>=|<=|>|<|=)([0-9]\S*)")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}


@dataclass(frozen=True)
class Range:
    limits: tuple[tuple[str, Version], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Range:
        """Limits such as '>=1.2', with spaces or commas between them; no limit at all lets everything in."""
        limits: list[tuple[str, Version]] = []
        for word in text.replace(",", " ").split():
            found = LIMIT.fullmatch(word)
            if not found:
                raise VersionError(f"{word!r} is no limit")
            limits.append((found[1], Version.parse(found[2])))
        return cls(tuple(limits))

    def __contains__(self, version: Version) -> bool:
        return all(COMPARE[sign](age(version), age(limit)) for sign, limit in self.limits)
