"""The choice among published versions."""

from __future__ import annotations

from collections.abc import Iterable

from .ordering import age
from .ranges import Range
from .version import Version


def newest(published: Iterable[str], within: str = "") -> str | None:
    """The newest version in the range, written as it was published; None if there is none."""
    limits = Range.parse(within)
    fitting = [text for text in published if Version.parse(text) in limits]
    return max(fitting, key=lambda text: age(Version.parse(text)), default=None)
