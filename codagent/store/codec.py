"""Dataclasses of `types` as plain JSON and back, with every type checked: what a record on disk is made of."""

from __future__ import annotations

import types
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from codagent.text import replace_unencodable

T = TypeVar("T")
_MAX_BITS = 1023  # so that each integer is also a float
_MAX_DEPTH = 100


def encode(value: Any) -> Any:
    """Return a value of `types` as plain JSON. Fields at their default are left out; half characters become U+FFFD."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(v) for f in fields(value) if (v := getattr(value, f.name)) != f.default or f.default is MISSING}
    if isinstance(value, tuple | list):
        if set(map(type, value)) <= {int, float}:  # thousands of token ids
            return list(value)
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, str) and not value.isascii():
        return replace_unencodable(value)
    return value


def decode(kind: type[T], data: Mapping[str, Any], **more: Any) -> T:
    """Return the dataclass `kind` out of plain JSON, with `more` fields that need no decoding.

    Raises ValueError for an unknown key, a value of another type, or one that codagent never writes; TypeError for a missing key.
    """
    hints = _type_hints(cast("Hashable", kind))
    unknown = data.keys() - hints.keys()
    if unknown:
        raise ValueError(f"unknown key {sorted(unknown)[0]!r:.60} in {kind.__name__.strip('_').lower()}")
    return kind(**{key: _decode_value(hints[key], item) for key, item in data.items()}, **more)


@cache
def _type_hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode_value(hint: Any, item: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return _check_plain(item, _MAX_DEPTH)
    if origin in (Union, types.UnionType):
        return None if item is None else _decode_value(next(a for a in arguments if a is not types.NoneType), item)
    if origin is tuple:
        return _decode_items(arguments[0], _require(list, item))
    if origin is Literal:
        if item not in arguments:
            raise ValueError(f"{item!r:.60} is none of {', '.join(map(repr, arguments))}")
        return item
    if is_dataclass(hint):
        return decode(hint, _require(dict, item))  # type: ignore[arg-type]
    # an origin that is left is a mapping with values of any kind
    return _check_plain(_require(dict, item), _MAX_DEPTH) if origin else _require(hint, item)


def _decode_items(hint: Any, items: list[Any]) -> tuple[Any, ...]:
    if hint in (int, float) and set(map(type, items)) == {hint}:  # thousands of token ids
        _require(hint, max(items, key=abs))
        return tuple(items)
    return tuple(_decode_value(hint, item) for item in items)


def _require(kind: Any, item: Any) -> Any:
    """Return `item`, which has to be of type `kind`. An integer also passes for a float."""
    if type(item) is not kind and not (kind is float and type(item) is int):
        raise ValueError(f"{item!r:.60} where a value of type {kind.__name__} belongs")
    if kind is str and not item.isascii() and replace_unencodable(item) != item:
        raise ValueError(f"{item!r:.60} holds half a character")
    if type(item) is int and item.bit_length() > _MAX_BITS:
        raise ValueError(f"a number of {item.bit_length()} bits is too large")
    return item


def _check_plain(item: Any, depth: int) -> Any:
    """Return `item`, any JSON value. Raises ValueError when it is nested more than `depth` times or holds a text or number of no use."""
    if depth == 0:
        raise ValueError(f"values are nested more than {_MAX_DEPTH} times")
    if isinstance(item, dict):
        return {_require(str, key): _check_plain(part, depth - 1) for key, part in item.items()}
    if isinstance(item, list):
        return [_check_plain(part, depth - 1) for part in item]
    return item if item is None else _require(type(item), item)
