"""A decorator that answers repeated calls from a cache."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any

from .lru import LRUCache
from .stats import Stats

_MISSING = object()


def memoize(size: int = 128) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Keeps the results of the last `size` different calls; arguments must be hashable.

    The decorated function has `cache` and `stats`. A call that raises is not remembered.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        cache, stats = LRUCache(size), Stats()

        @wraps(function)
        def remembered(*args: Hashable, **options: Hashable) -> Any:
            key = (args, tuple(sorted(options.items())))
            value = cache.get(key, _MISSING)
            if value is not _MISSING:
                stats.hits += 1
                return value
            stats.misses += 1
            value = function(*args, **options)
            cache.put(key, value)
            return value

        remembered.cache, remembered.stats = cache, stats  # type: ignore[attr-defined]
        return remembered

    return decorate
