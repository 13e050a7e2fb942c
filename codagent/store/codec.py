"""Values of `types` as plain JSON and back, strictly: what a record on disk is made of."""

from __future__ import annotations

import types
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def encode(value: Any) -> Any:
    """A value of `types` as plain JSON; fields at their default are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(v) for f in fields(value) if (v := getattr(value, f.name)) != f.default or f.default is MISSING}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    return value


def decode(kind: type[T], data: Mapping[str, Any], **given: Any) -> T:
    """The dataclass `kind` out of plain JSON; unknown keys and values of another type are a ValueError."""
    hints = _hints(cast("Hashable", kind))
    unknown = data.keys() - hints.keys()
    if unknown:
        raise ValueError(f"unknown key {sorted(unknown)[0]!r} in {kind.__name__.strip('_').lower()}")
    return kind(**{key: _value(hints[key], item) for key, item in data.items()}, **given)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _value(hint: Any, item: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return item
    if origin in (Union, types.UnionType):
        return None if item is None else _value(next(a for a in arguments if a is not types.NoneType), item)
    if origin is tuple:
        return tuple(_value(arguments[0], part) for part in _typed(list, item))
    if origin is Literal:
        if item not in arguments:
            raise ValueError(f"{item!r} is none of {', '.join(map(repr, arguments))}")
        return item
    if is_dataclass(hint):
        return decode(hint, _typed(dict, item))  # type: ignore[arg-type]
    return _typed(dict if origin else (int, float) if hint is float else hint, item)


def _typed(kind: Any, item: Any) -> Any:
    if not isinstance(item, kind):
        raise ValueError(f"{item!r:.60} where {kind} belongs")
    return item
