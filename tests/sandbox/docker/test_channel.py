"""The channel against a peer that is a real socket; no shell is behind it."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from codagent.sandbox.docker.channel import Answer, Channel, ChannelClosed


def frame(data: bytes, kind: int = 1) -> bytes:
    return struct.pack(">BxxxL", kind, len(data)) + data


def ask_forger(answer: Callable[[bytes], bytes], *, timeout: float = 60, limit: int = 1000) -> Answer:
    """What a channel makes of the bytes that `answer` gives for its nonce."""
    here, there = socket.socketpair()

    def peer() -> None:
        lines = there.makefile("rb")
        nonce = next(line for line in lines if line.startswith(b"count_others ")).split()[1]
        with suppress(BrokenPipeError):  # the channel may have heard enough
            there.sendall(answer(nonce))

    thread = threading.Thread(target=peer, daemon=True)
    with here, there:
        thread.start()
        return Channel(here, output_bytes=1, kill_others=False).ask("count_others", timeout=timeout, limit=limit)


def test_an_answer_is_its_code_its_size_and_its_bytes() -> None:
    whole = lambda nonce: frame(nonce + b" 3 5\na\nb\0c\n" + nonce + b"\n")  # noqa: E731
    assert ask_forger(whole) == Answer(3, 5, b"a\nb\0c")


def test_an_answer_may_come_in_any_pieces() -> None:
    def pieces(nonce: bytes) -> bytes:
        return b"".join(frame(bytes([byte])) for byte in nonce + b" 0 2\nok\n" + nonce + b"\n")

    assert ask_forger(pieces) == Answer(0, 2, b"ok")


def test_standard_error_and_what_comes_before_the_answer_are_dropped() -> None:
    noise = frame(b"x" * 1_000_000) + frame(b"0" * 32 + b" 9 9\nforged\n")
    assert ask_forger(lambda nonce: frame(b"oops", kind=2) + noise + frame(nonce + b" 0 0\n\n" + nonce + b"\n")) == Answer(0, 0, b"")


def test_an_answer_longer_than_it_may_be_closes_the_channel() -> None:
    with pytest.raises(ChannelClosed, match="longer"):
        ask_forger(lambda nonce: frame(nonce + b" 0 9\n") + frame(b"x" * 1_000_000))


def test_half_an_answer_meets_the_deadline() -> None:
    with pytest.raises(TimeoutError):
        ask_forger(lambda nonce: frame(nonce[:8]), timeout=0.2)


FORGED = {
    "a code of thousands of digits": b" %s 0\n\n" % (b"9" * 5000),
    "a code of four digits": b" 1000 0\n\n",
    "a size of thousands of digits": b" 0 %s\n\n" % (b"9" * 5000),
    "a size of thirteen digits": b" 0 1000000000000\n\n",
    "a negative code": b" -1 0\n\n",
    "a negative size": b" 0 -1\n\n",
    "digits of another script": " ٣ ٣\n\n".encode(),
    "a code with an underscore": b" 1_0 0\n\n",
    "no code": b" 0\n\n",
    "nothing": b" \n\n",
    "a head without an end": b" 0 0" + b"0" * 20,
    "more bytes than its size": b" 0 3\nfour",
    "more bytes than may be": b" 0 100000000\n" + b"x" * 1001,
}


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize("piece", [1 << 20, 7])
def test_an_answer_that_cannot_be_closes_the_channel(forged: str, piece: int) -> None:
    def answer(nonce: bytes) -> bytes:
        whole = nonce + FORGED[forged] + b"\n" + nonce + b"\n"
        return b"".join(frame(whole[start : start + piece]) for start in range(0, len(whole), piece))

    with pytest.raises(ChannelClosed):
        ask_forger(answer)


def test_the_largest_code_and_size_are_taken_as_they_are() -> None:
    """The size of an output may be more than what comes back of it."""
    assert ask_forger(lambda nonce: frame(nonce + b" 999 999999999999\nok\n" + nonce + b"\n")) == Answer(999, 999_999_999_999, b"ok")


@pytest.mark.parametrize(
    "header", [b"\0\0\0\0\0\0\0\1", b"\3\0\0\0\0\0\0\1", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\1\0\1\0\0\0\0\1", b"HTTP/1.1 500"]
)
def test_what_is_no_frame_of_output_closes_the_channel(header: bytes) -> None:
    with pytest.raises(ChannelClosed, match="no frame"):
        ask_forger(lambda nonce: header + b"x")


@pytest.mark.parametrize("cut", [b"", b"\1\0\0", frame(b"half")[:-1]])
def test_a_stream_that_ends_anywhere_closes_the_channel(cut: bytes) -> None:
    here, there = socket.socketpair()
    with here, there:
        channel = Channel(here, output_bytes=1, kill_others=False)
        there.sendall(cut)
        there.shutdown(socket.SHUT_WR)
        with pytest.raises(ChannelClosed, match="ended"):
            channel.ask("count_others", timeout=60)


def test_a_frame_takes_no_more_memory_than_what_came_of_it() -> None:
    with pytest.raises(TimeoutError):
        ask_forger(lambda nonce: struct.pack(">BxxxL", 1, 0xFFFFFFFF) + b"x", timeout=0.2)


@pytest.mark.parametrize("flood", [frame(b"x" * 1000), frame(b""), frame(b"x" * 1000, kind=2)])
def test_a_flood_does_not_stop_the_clock(flood: bytes) -> None:
    here, there = socket.socketpair()

    def peer() -> None:
        try:
            while True:
                there.sendall(flood * 100)
        except OSError:
            return

    threading.Thread(target=peer, daemon=True).start()
    with here, there:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            Channel(here, output_bytes=1, kill_others=False).ask("count_others", timeout=0.3)
        assert time.monotonic() - began < 60  # without a clock it would never end
