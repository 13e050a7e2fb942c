"""The engine's stream of an exec or of a container: frames, read within a deadline and in pieces, whatever size a frame claims."""

from __future__ import annotations

import struct
import time
from typing import Protocol

STDOUT, STDERR = 1, 2
_PIECE = 1 << 16  # bytes that are taken at once


class ChannelClosed(ConnectionError):
    """The other side is gone, or answers nonsense: whoever holds the connection opens another."""


class Connection(Protocol):
    """What is needed of a socket."""

    def settimeout(self, value: float | None, /) -> None: ...

    def sendall(self, data: bytes, /) -> None: ...

    def recv(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class Frames:
    """Raises TimeoutError past a deadline and ChannelClosed at the end, or for what is no frame; after either it is of no more use."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kind, self._left = STDOUT, 0

    def read(self, deadline: float) -> tuple[int, bytes]:
        """The next bytes, at most 64 KiB, and which stream they are of: STDOUT or STDERR. `deadline` is in time.monotonic()'s seconds."""
        while self._left == 0:
            header = b""
            while len(header) < 8:
                header += self._receive(8 - len(header), deadline)
            self._kind, self._left = struct.unpack(">BxxxL", header)
            if header[:4] not in (b"\1\0\0\0", b"\2\0\0\0"):
                raise ChannelClosed("the engine's stream holds something that is no frame of output")
        piece = self._receive(min(self._left, _PIECE), deadline)
        self._left -= len(piece)
        return self._kind, piece

    def _receive(self, size: int, deadline: float) -> bytes:
        """The time is looked at even when there is something to read: who never stops writing must not stop the clock."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline is past")
        try:
            self._connection.settimeout(left)
            piece = self._connection.recv(size)
        except TimeoutError:
            raise
        except OSError as error:
            raise ChannelClosed(str(error)) from error
        if not piece:
            raise ChannelClosed("the other side ended")
        return piece
