"""What a provider wants back with a reply and codagent does not read: reasoning, its signatures, and unknown keys of calls.

`Message.provider_data` holds it as JSON text: {"message": fields of the message, "calls": [unknown keys of each call, in order]}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from codagent.text import replace_unencodable

Json = dict[str, Any]
_PREFIXES = ("reasoning", "thinking", "thought")
_NAMES = ("provider_specific_fields", "extra_content")
_CALL_KEYS = ("index", "id", "type", "function")
_FUNCTION_KEYS = ("name", "arguments")
_STREAMED = ("text", "summary", "thinking", "data")  # fields of an item that come in pieces; any other comes whole


def pick_fields(message: Mapping[str, Any]) -> Json:
    """Return the fields of a message, or of a piece of one, that go back to the provider as they came."""
    return {key: value for key, value in message.items() if value and (key.startswith(_PREFIXES) or key in _NAMES)}


def pick_call_keys(call: Mapping[str, Any]) -> Json:
    """Return what a call, or a piece of one, holds besides what codagent reads. Keys of its function are under "function"."""
    keys = {key: value for key, value in call.items() if key not in _CALL_KEYS and value is not None}
    function = call.get("function")
    inner = {key: value for key, value in function.items() if key not in _FUNCTION_KEYS} if isinstance(function, dict) else {}
    inner = {key: value for key, value in inner.items() if value is not None}
    return {**keys, "function": inner} if inner else keys


def add_piece(data: Json, piece: Mapping[str, Any]) -> None:
    """Add the fields in a piece of a stream to what came before: texts grow, items with the same `index` are one item."""
    for key, value in piece.items():
        try:
            data[key] = _join(data[key], value) if key in data else _join([], value) if isinstance(value, list) else value
        except RecursionError:  # nested without end
            data[key] = value


def join_thinking(pieces: Sequence[Json]) -> list[Json]:
    """Return the whole blocks of a stream of thinking. A block's last piece has its signature, and a text that is whole or is added.

    Text without a signature is left out, because no provider takes it back.
    """
    blocks, text = [], ""
    for piece in pieces:
        if piece.get("type") != "thinking":
            blocks.append(piece)
        elif piece.get("signature"):
            last = piece.get("thinking") or ""
            blocks.append({**piece, "thinking": last if text and last.startswith(text) else text + last})
            text = ""
        else:
            text += piece.get("thinking") or ""
    return blocks


def pack(message: Json, calls: Sequence[Json] = ()) -> str:
    """Return the JSON text of what goes back; "" when nothing does."""
    if not message and not any(calls):
        return ""
    try:
        return replace_unencodable(json.dumps({"message": message, "calls": list(calls)}, ensure_ascii=False))
    except (RecursionError, TypeError, ValueError):  # nested without end: no provider wants that back
        return ""


def unpack(text: str) -> tuple[Json, list[Json]]:
    """Return the fields of the message and the keys of its calls. A text that `pack` did not write gives none."""
    try:
        content = json.loads(text or "{}")
        return pick_fields(content.get("message", {})), [pick_call_keys(call) for call in content.get("calls", [])]
    except (ValueError, AttributeError, TypeError, RecursionError):
        return {}, []


def _join(before: Any, piece: Any) -> Any:
    if isinstance(before, str) and isinstance(piece, str):
        return before + piece
    if isinstance(before, dict) and isinstance(piece, dict):
        joined = dict(before)
        add_piece(joined, piece)
        return joined
    if isinstance(before, list) and isinstance(piece, list):
        items = list(before)
        for item in piece:
            at = next((at for at, known in enumerate(items) if _is_same_item(known, item)), None)
            if at is None:
                items.append(item)
            else:
                items[at] = _join_item(items[at], item)
        return items
    return piece


def _is_same_item(known: Any, item: Any) -> bool:
    if not isinstance(known, dict) or not isinstance(item, dict) or item.get("index") is None:
        return False
    return known.get("index") == item["index"] and known.get("type", item.get("type")) == item.get("type", known.get("type"))


def _join_item(known: Json, item: Json) -> Json:
    joined = dict(known)
    for key, value in item.items():
        if key in _STREAMED and isinstance(value, str) and isinstance(known.get(key), str):
            joined[key] = known[key] + value
        elif value is not None:
            joined[key] = value
    return joined
