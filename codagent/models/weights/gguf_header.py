"""The texts in the header of a GGUF file, without the package that reads all of it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from codagent.errors import UsageError

_MAGIC = b"GGUF"
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of a value, by the number of its type
_TEXT, _LIST = 8, 9
_MOST = 1 << 20  # values in a header, entries in a list, bytes in a text


def read_texts(file: Path) -> dict[str, str]:
    """Return the values that are texts, by their keys. Raises UsageError when the file is missing or no GGUF file."""
    try:
        with file.open("rb") as opened:
            if opened.read(4) != _MAGIC:
                raise ValueError("it does not begin as one")
            _, _, count = struct.unpack("<IQQ", _read(opened, 20))
            return dict(pair for pair in (_read_pair(opened) for _ in range(_bounded(count))) if pair[1])
    except (OSError, ValueError, struct.error) as error:
        raise UsageError(f"{file} is not a GGUF file that can be read: {error}; make or fetch it again") from None


def _read_pair(opened: BinaryIO) -> tuple[str, str]:
    """Read a key and its value; "" in place of a value that is no text."""
    key = _read_text(opened)
    (kind,) = struct.unpack("<I", _read(opened, 4))
    if kind == _TEXT:
        return key, _read_text(opened)
    if kind == _LIST:
        kind, count = struct.unpack("<IQ", _read(opened, 12))
        for _ in range(_bounded(count) if kind == _TEXT else 0):
            _read_text(opened)
        _read(opened, 0 if kind == _TEXT else _bounded(count) * _size(kind))
    else:
        _read(opened, _size(kind))
    return key, ""


def _read_text(opened: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", _read(opened, 8))
    return _read(opened, _bounded(length)).decode("utf-8", "replace")


def _read(opened: BinaryIO, count: int) -> bytes:
    data = opened.read(count)
    if len(data) < count:
        raise ValueError("it ends too early")
    return data


def _size(kind: int) -> int:
    if kind not in _SIZES:
        raise ValueError(f"it holds a value of the unknown type {kind}")
    return _SIZES[kind]


def _bounded(count: int) -> int:
    if count > _MOST:
        raise ValueError("it says that it holds more than a header can")
    return count
