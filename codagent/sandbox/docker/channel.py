"""The protocol with one long-lived shell in the container, over the connection of an exec. Docker's API is not used here."""

from __future__ import annotations

import re
import secrets
import shlex
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from codagent.sandbox.docker.frames import STDOUT, ChannelClosed, Connection, Frames

MAX_OUTPUT = 256 * 1024  # bytes of a command's output that are returned
_SLACK = 64 * 1024  # bytes of anything else that may come before an answer
# What follows a nonce: a code of at most three digits and a size of at most twelve. The other alternatives find everything that is invalid.
_HEAD = rb" (?:(\d{1,3}) (\d{1,12})\n|[^\n]{17}|[^\n]*\n)"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function of channel.sh has answered."""

    code: int  # an exit code or an errno, 0 to 999
    size: int  # of the whole output or file in bytes, or another number that the function returns
    data: bytes  # the part of the output or file that was sent


class Channel:
    """Calls functions of channel.sh in a shell. After TimeoutError or ChannelClosed it cannot be used any more."""

    def __init__(self, connection: Connection, *, output_bytes: int, kill_others: bool) -> None:
        """Send channel.sh to the shell at the other end of `connection`. `output_bytes` is the size of the file system for output.

        `kill_others`: the shell first kills every other process of its user. No new process is needed for that, so a fork bomb does not
        prevent it.
        """
        self._connection = connection
        self._frames = Frames(connection)
        self._buffer = bytearray()
        script = Path(__file__).with_name("channel.sh").read_text()
        begin = "kill -KILL -1\n" if kill_others else ""
        self._send(f"{begin}HALF={MAX_OUTPUT // 2} QUOTA={output_bytes} TIDIED=0\n{script}\n".encode(), timeout=10)

    def ask(self, *words: str, timeout: float, data: Iterable[bytes] = (), limit: int = MAX_OUTPUT) -> Answer:
        """Call the function that the first of `words` names, with the others as arguments, and return its answer.

        `data` is sent after the call; `limit` is how many bytes the answer may have. Any program in the sandbox may answer in place of the
        function, so the answer is checked, and its content proves nothing. Raises TimeoutError past `timeout` seconds, and ChannelClosed
        when the shell has ended or the answer is invalid.
        """
        nonce = secrets.token_hex(16)
        verb, *arguments = words
        deadline = time.monotonic() + timeout
        self._send((shlex.join([verb, nonce, *arguments]) + "\n").encode(errors="surrogateescape"), timeout=timeout)
        for chunk in data:
            self._send(chunk, timeout=deadline - time.monotonic())
        _, code, size = self._read_until(re.compile(nonce.encode() + _HEAD), deadline, keep=False)
        if not code:
            raise ChannelClosed("the shell's answer has no code and size")
        # The command has ended. The rest of the answer gets some seconds even when the deadline is near.
        body, *_ = self._read_until(re.compile(rb"\n%s\n" % nonce.encode()), max(deadline, time.monotonic() + 10), keep=True, limit=limit)
        if len(body) > min(limit, int(size)):
            raise ChannelClosed("the answer is longer than it may be")
        return Answer(int(code), int(size), body)

    def close(self) -> None:
        self._connection.close()

    def _read_until(self, pattern: re.Pattern[bytes], deadline: float, *, keep: bool, limit: int = 0) -> tuple[bytes, bytes, bytes]:
        """Read until the pattern matches. Return what comes before it, and its two groups; b"" for a group that it does not have.

        Without `keep`, what comes before is dropped while it is read, and b"" is returned for it. With `keep` it may have `limit` bytes.
        """
        searched = 0
        while (match := pattern.search(self._buffer, max(0, searched - 128))) is None:
            if len(self._buffer) > limit + _SLACK:
                if keep:
                    raise ChannelClosed("the answer is longer than it may be")
                del self._buffer[:-_SLACK]
            searched = len(self._buffer)
            self._buffer += self._read_stdout(deadline)
        first, second = match.groups(default=b"") or (b"", b"")
        begin, end = match.span()
        del match  # it holds the buffer, which could not shrink
        before = bytes(memoryview(self._buffer)[:begin]) if keep else b""
        del self._buffer[:end]
        return before, first, second

    def _read_stdout(self, deadline: float) -> bytes:
        """Return the next piece of the shell's standard output. Its standard error is dropped."""
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
