"""Files of JSON Lines with a checksum in each line. A line is appended at once; a last line that a crash tore is dropped.

The checksum is the last key of a line, `"sum"`: the CRC-32 of the line without that key, begun with the checksum of the line before. So a
line that was changed, removed or moved does not fit any more. It guards against damage, not against a person who edits the file.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from codagent.files import MAX_RECORD_BYTES, open_plain, read_plain
from codagent.redaction import hide_in_json

_SUM = re.compile(rb',"sum":"([0-9a-f]{8})"\}\Z')


def open_to_append(path: Path, *, new: bool = False) -> IO[bytes]:
    """Open a file that lines are appended to, and make it when it is missing. With `new`, raise FileExistsError when it is there."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | (os.O_EXCL if new else 0)
    return os.fdopen(open_plain(path, flags), "ab")


def append(file: IO[bytes], value: Mapping[str, Any], *, previous: int = 0, sync: bool = False) -> int:
    """Append `value`, which is not empty, as one line, and return its checksum.

    `previous` is the checksum of the line before; 0 for the first line, and for lines that do not depend on each other. With `sync` the
    line is on the disk on return, else it is with the system.
    """
    text = json.dumps(hide_in_json(value), separators=(",", ":")).encode()
    checksum = zlib.crc32(text, previous)
    file.write(b'%b,"sum":"%08x"}\n' % (text[:-1], checksum))
    file.flush()
    if sync:
        os.fsync(file.fileno())
    return checksum


def read_lines(path: Path) -> list[bytes]:
    """Read the lines of a file without a torn last one. Raises FileNotFoundError, and RepositoryError for what is no plain file."""
    return read_plain(path, max_bytes=MAX_RECORD_BYTES).split(b"\n")[:-1]


def parse(line: bytes, previous: int | None) -> tuple[dict[str, Any], int | None]:
    """Return the value of a line without its checksum, and the checksum.

    `previous` is the checksum of the line before; None: no line so far has one, as in files of older versions, and this one need not have
    one either. Raises ValueError for a line that is damaged or does not follow the line before it.
    """
    match, checksum = _find_sum(line), None
    if match:
        line, checksum = line[: match.start()] + b"}", int(match[1], 16)
        if checksum != zlib.crc32(line, previous or 0):
            raise ValueError("its checksum does not fit it and the line before it")
    elif previous is not None:
        raise ValueError("it has no checksum")
    try:
        value = json.loads(line.decode())
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(value, dict) or "sum" in value:
        raise ValueError("it is no JSON object, or its checksum is none")
    return value, checksum


def drop_torn_line(path: Path) -> int:
    """Cut off a last line that has no newline. Return the checksum of the last line that is left, 0 when that has none."""
    with os.fdopen(open_plain(path, os.O_RDWR), "rb+") as file:
        whole = file.read().rpartition(b"\n")[0]
        file.truncate(len(whole) + 1 if whole else 0)
    match = _find_sum(whole)
    return int(match[1], 16) if match else 0


def _find_sum(text: bytes) -> re.Match[bytes] | None:
    return _SUM.search(text, len(text) - len(b',"sum":"01234567"}'))
