"""Limits on what a server holds for its clients: connections, requests, bytes and time. Knows nothing of HTTP."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from time import monotonic
from typing import Any

from codagent.errors import UsageError

MAX_IDLE = 128  # connections without a request; when there are more, the one that has been idle longest is closed
MAX_ACTIVE = 256  # requests that are read and answered at the same time; more are refused
MAX_HELD_BYTES = 1 << 26  # bytes of all request bodies that are held at the same time; more are refused


class ServeError(UsageError):
    """A request that is not answered as its client wished."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status  # the HTTP status of the answer


class ConnectionLimits:
    """Counts connections, requests and bytes, and keeps them under the limits of this module. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._idle: dict[socket.socket, None] = {}  # in the order of time: the one that has been idle longest comes first
        self._active = self._held_bytes = 0

    def mark_idle(self, connection: socket.socket) -> None:
        """Count a connection as idle. When too many are, the one that has been idle longest is shut down."""
        with self._lock:
            self._idle[connection] = None
            if len(self._idle) > MAX_IDLE:
                oldest = next(iter(self._idle))
                del self._idle[oldest]
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)  # the thread of the connection reads its end, and closes it

    @contextmanager
    def reserve(self, connection: socket.socket, size: int) -> Iterator[None]:
        """Count a request whose body has `size` bytes while it is read and answered. Raises ServeError when there is no room for it."""
        with self._lock:
            if self._active >= MAX_ACTIVE or self._held_bytes + size > MAX_HELD_BYTES:
                raise ServeError(503, "the server is answering as many requests as it can hold; ask again later")
            self._idle.pop(connection, None)
            self._active, self._held_bytes = self._active + 1, self._held_bytes + size
        try:
            yield
        finally:
            with self._lock:
                self._active, self._held_bytes = self._active - 1, self._held_bytes - size
            self.mark_idle(connection)

    def forget(self, connection: socket.socket) -> None:
        """Stop counting a connection that ends."""
        with self._lock:
            self._idle.pop(connection, None)


class BoundedReader(io.RawIOBase):
    """Reads from a connection until a number of bytes or a point in time is reached. Call `allow` before reading."""

    def __init__(self, connection: socket.socket, *, usual_timeout_s: float) -> None:
        self._connection, self._usual_timeout_s = connection, usual_timeout_s
        self._bytes_left, self._deadline = 0, 0.0

    def allow(self, size: int, seconds: float) -> None:
        """Allow `size` more bytes, within `seconds` from now. What was allowed before lapses."""
        self._bytes_left, self._deadline = size, monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read what has come, once something has. Raises TimeoutError after the deadline, and ServeError after the last allowed byte."""
        if self._bytes_left <= 0:
            raise ServeError(431, "the request has too many bytes before its body")
        if (seconds_left := self._deadline - monotonic()) <= 0:
            raise TimeoutError
        self._connection.settimeout(seconds_left)
        try:
            count = self._connection.recv_into(memoryview(buffer)[: self._bytes_left])
        finally:
            self._connection.settimeout(self._usual_timeout_s)
        self._bytes_left -= count
        return count
