"""One table of settings over another."""

from __future__ import annotations

from typing import Any

Table = dict[str, Any]


def merge(base: Table, override: Table) -> Table:
    """`base` with the settings of `override`, as a table of its own; neither of the two is changed.

    A table in both is merged in the same way, at any depth. A value of None removes
    the setting. Anything else, lists included, replaces what was there.
    """
    merged = dict(base)
    for key, value in override.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key].update(value)
        else:
            merged[key] = value
    return merged


def lookup(table: Table, path: str, default: Any = None) -> Any:
    """The setting at a dotted path such as 'server.tls.port', or `default`."""
    value: Any = table
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return default
        value = value[name]
    return value
