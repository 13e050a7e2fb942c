"""The channel against a peer that is a real socket; no shell is behind it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable

import pytest

from codagent.sandbox.channel import Answer, Channel, ChannelClosed


def frame(data: bytes, kind: int = 1) -> bytes:
    return struct.pack(">BxxxL", kind, len(data)) + data


def asked(answer: Callable[[bytes], bytes], *, timeout: float = 5, limit: int = 1000) -> Answer:
    """What a channel makes of the bytes that `answer` gives for its nonce."""
    here, there = socket.socketpair()

    def peer() -> None:
        lines = there.makefile("rb")
        nonce = next(line for line in lines if line.startswith(b"hello ")).split()[1]
        there.sendall(answer(nonce))

    thread = threading.Thread(target=peer, daemon=True)
    with here, there:
        thread.start()
        return Channel(here, output_bytes=1, alone=False).ask("hello", timeout=timeout, limit=limit)


def test_an_answer_is_its_code_its_size_and_its_bytes() -> None:
    whole = lambda nonce: frame(nonce + b" 3 5\na\nb\0c\n" + nonce + b"\n")  # noqa: E731
    assert asked(whole) == Answer(3, 5, b"a\nb\0c")


def test_an_answer_may_come_in_any_pieces() -> None:
    def pieces(nonce: bytes) -> bytes:
        return b"".join(frame(bytes([byte])) for byte in nonce + b" 0 2\nok\n" + nonce + b"\n")

    assert asked(pieces) == Answer(0, 2, b"ok")


def test_standard_error_and_what_comes_before_the_answer_are_dropped() -> None:
    noise = frame(b"x" * 1_000_000) + frame(b"0" * 32 + b" 9 9\nforged\n")
    assert asked(lambda nonce: frame(b"oops", kind=2) + noise + frame(nonce + b" 0 0\n\n" + nonce + b"\n")) == Answer(0, 0, b"")


def test_an_answer_longer_than_it_may_be_closes_the_channel() -> None:
    with pytest.raises(ChannelClosed, match="longer"):
        asked(lambda nonce: frame(nonce + b" 0 9\n") + frame(b"x" * 1_000_000))


def test_half_an_answer_meets_the_deadline() -> None:
    with pytest.raises(TimeoutError):
        asked(lambda nonce: frame(nonce[:8]), timeout=0.2)
