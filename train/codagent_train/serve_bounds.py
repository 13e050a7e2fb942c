"""What a server holds for its clients, bounded: connections, requests, bytes, and how long they may take. Knows nothing of HTTP."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from time import monotonic
from typing import Any

from codagent.errors import UsageError

MOST_WAITING = 128  # connections on which nothing is being answered; one more closes the one that has waited longest
MOST_WORKING = 256  # requests that are read and answered at a time; one more is refused
MOST_HELD = 1 << 26  # bytes of the bodies that are held at a time


class Refusal(UsageError):
    """`status` is the answer's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Bounds:
    """Who is connected, and what is held for them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: dict[socket.socket, None] = {}  # the one that has waited longest first
        self._working = self._held = 0

    def wait(self, connection: socket.socket) -> None:
        """Count a connection as one that waits. Where these are too many, the one that has waited longest is closed."""
        with self._lock:
            self._waiting[connection] = None
            if len(self._waiting) > MOST_WAITING:
                oldest = next(iter(self._waiting))
                del self._waiting[oldest]
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)  # its thread reads the end, and closes it

    @contextmanager
    def work(self, connection: socket.socket, size: int) -> Iterator[None]:
        """Hold a place for a request of `size` bytes. Refusal when there is none."""
        with self._lock:
            if self._working >= MOST_WORKING or self._held + size > MOST_HELD:
                raise Refusal(503, "the server is answering as many requests as it can hold; ask again later")
            self._waiting.pop(connection, None)
            self._working, self._held = self._working + 1, self._held + size
        try:
            yield
        finally:
            with self._lock:
                self._working, self._held = self._working - 1, self._held - size
            self.wait(connection)

    def leave(self, connection: socket.socket) -> None:
        with self._lock:
            self._waiting.pop(connection, None)


class Heard(io.RawIOBase):
    """What a client says, up to a number of bytes and a moment."""

    def __init__(self, connection: socket.socket, *, usual_s: float) -> None:
        self._connection, self._usual_s = connection, usual_s
        self._left, self._until = 0, 0.0

    def allow(self, size: int, seconds: float) -> None:
        self._left, self._until = size, monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any, /) -> int:
        """TimeoutError when the moment is over, Refusal when the bytes are."""
        if self._left <= 0:
            raise Refusal(431, "the request has too many bytes before its body")
        if (left := self._until - monotonic()) <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        try:
            count = self._connection.recv_into(memoryview(into)[: self._left])
        finally:
            self._connection.settimeout(self._usual_s)
        self._left -= count
        return count
