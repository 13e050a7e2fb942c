"""The frames in which the engine sends the output of an exec or of a container.

They are read within a deadline and in small pieces, whatever size a frame claims to have.
"""

from __future__ import annotations

import struct
import time
from typing import Protocol

STDOUT, STDERR = 1, 2
_PIECE_BYTES = 1 << 16  # read at once at most


class ChannelClosed(ConnectionError):
    """The other side has ended, or its bytes are invalid. The connection cannot be used any more."""


class Connection(Protocol):
    """The part of a socket that is used here."""

    def settimeout(self, value: float | None, /) -> None: ...

    def sendall(self, data: bytes, /) -> None: ...

    def recv(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class Frames:
    """Reads the output in the frames of one connection. After an error it cannot be used any more."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kind, self._left = STDOUT, 0  # of the frame that is being read: its stream, and its bytes that are still to come

    def read(self, deadline: float) -> tuple[int, bytes]:
        """Return the next stream, STDOUT or STDERR, and its next bytes, 64 KiB at most.

        `deadline` is a time of time.monotonic(). Raises TimeoutError when it passes, and ChannelClosed at the end of the connection and for
        bytes that are no frame of output.
        """
        while self._left == 0:
            header = b""
            while len(header) < 8:
                header += self._receive(8 - len(header), deadline)
            self._kind, self._left = struct.unpack(">BxxxL", header)
            if header[:4] not in (b"\1\0\0\0", b"\2\0\0\0"):
                raise ChannelClosed("the engine's stream holds something that is no frame of output")
        piece = self._receive(min(self._left, _PIECE_BYTES), deadline)
        self._left -= len(piece)
        return self._kind, piece

    def _receive(self, size: int, deadline: float) -> bytes:
        """Return the next bytes of the connection, `size` at most.

        The deadline is checked even when there is something to read. Otherwise a side that never stops writing would never time out.
        """
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
