"""Remembers what was expensive to find out, within a bound."""

from .lru import LRUCache
from .memo import memoize
from .stats import Stats

__all__ = ["LRUCache", "Stats", "memoize"]
