"""Which version is newer."""

from __future__ import annotations

from typing import Any

from .version import Version


def age(version: Version) -> tuple[Any, ...]:
    """What to sort versions by, oldest first."""
    is_release = not version.pre
    return (version.numbers, is_release, version.pre)
