"""One long-lived shell in the container, asked over an attached exec. Knows the framing of both, and nothing of Docker's API."""

from __future__ import annotations

import re
import secrets
import shlex
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from codagent.sandbox.docker.frames import STDOUT, ChannelClosed, Connection, Frames

MAX_OUTPUT = 256 * 1024  # bytes of a command's output that come back
_SLACK = 64 * 1024  # bytes of anything else that may stand before an answer
# What follows a nonce: a code of three digits and a size of twelve at most. Anything else, or more than that without an end, is nonsense.
_HEAD = rb" (?:(\d{1,3}) (\d{1,12})\n|[^\n]{17}|[^\n]*\n)"


@dataclass(frozen=True, slots=True)
class Answer:
    """`size` is what there is, `data` what came of it."""

    code: int
    size: int
    data: bytes


class Channel:
    """Raises TimeoutError past a deadline and ChannelClosed when the shell is gone; after either it is of no more use."""

    def __init__(self, connection: Connection, *, output_bytes: int, alone: bool) -> None:
        """`alone`: the shell first kills whatever else of its user runs, without a process of its own, so that no fork bomb hinders it."""
        self._connection = connection
        self._frames = Frames(connection)
        self._buffer = bytearray()
        script = Path(__file__).with_name("channel.sh").read_text()
        begin = "kill -KILL -1\n" if alone else ""
        self._send(f"{begin}HALF={MAX_OUTPUT // 2} QUOTA={output_bytes} TIDIED=0\n{script}\n".encode(), timeout=10)

    def ask(self, *words: str, timeout: float, data: Iterable[bytes] = (), limit: int = MAX_OUTPUT) -> Answer:
        """Calls a function of channel.sh and reads its answer, of `limit` bytes at most. Whatever else runs in the sandbox may answer in
        its place, so nothing that is said is taken for more than it can be."""
        nonce = secrets.token_hex(16)
        verb, *arguments = words
        deadline = time.monotonic() + timeout
        self._send((shlex.join([verb, nonce, *arguments]) + "\n").encode(errors="surrogateescape"), timeout=timeout)
        for chunk in data:
            self._send(chunk, timeout=deadline - time.monotonic())
        _, code, size = self._until(re.compile(nonce.encode() + _HEAD), deadline, keep=False)
        if not code:
            raise ChannelClosed("the shell's answer has no code and size")
        # The command is over; what follows is only its answer's way here.
        body, *_ = self._until(re.compile(rb"\n%s\n" % nonce.encode()), max(deadline, time.monotonic() + 10), keep=True, limit=limit)
        if len(body) > min(limit, int(size)):
            raise ChannelClosed("the answer is longer than it may be")
        return Answer(int(code), int(size), body)

    def close(self) -> None:
        self._connection.close()

    def _until(self, pattern: re.Pattern[bytes], deadline: float, *, keep: bool, limit: int = 0) -> tuple[bytes, bytes, bytes]:
        """What stands before the pattern, and its groups, if any. Without `keep` what stands before is let go of as it comes."""
        seen = 0
        while (match := pattern.search(self._buffer, max(0, seen - 128))) is None:
            if len(self._buffer) > limit + _SLACK:
                if keep:
                    raise ChannelClosed("the answer is longer than it may be")
                del self._buffer[:-_SLACK]
            seen = len(self._buffer)
            self._buffer += self._stdout(deadline)
        first, second = match.groups(default=b"") or (b"", b"")
        begin, end = match.span()
        del match  # it holds the buffer, which could not shrink
        before = bytes(memoryview(self._buffer)[:begin]) if keep else b""
        del self._buffer[:end]
        return before, first, second

    def _stdout(self, deadline: float) -> bytes:
        """The next piece of standard output; what the shell says on standard error is dropped."""
        while True:
            kind, data = self._frames.read(deadline)
            if kind == STDOUT:
                return data

    def _send(self, data: bytes, *, timeout: float) -> None:
        try:
            self._connection.settimeout(max(0.001, timeout))
            self._connection.sendall(data)
        except TimeoutError:
            raise
        except OSError as error:
            raise ChannelClosed(str(error)) from error
