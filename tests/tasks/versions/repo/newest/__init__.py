"""Finds the newest version that fits."""

from .choosing import newest
from .ordering import age
from .ranges import Range
from .version import Version, VersionError

__all__ = ["Range", "Version", "VersionError", "age", "newest"]
