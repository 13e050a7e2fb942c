"""SIGTERM, SIGHUP and a closed pipe, which end a command as an interrupt does: what was done so far is kept and told."""

from __future__ import annotations

import _thread
import signal
from types import FrameType

INTERRUPTED, PIPE_CLOSED = 128 + signal.SIGINT, 128 + signal.SIGPIPE  # exit codes
_received: list[int] = []


def listen() -> None:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt. One that whoever started codagent has set to be ignored, as nohup does, stays so."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


def end_by_closed_pipe() -> None:
    """Raise KeyboardInterrupt in the main thread, because nobody reads any more what the command prints. Any thread may call this."""
    _received.append(signal.SIGPIPE)
    _thread.interrupt_main(signal.SIGTERM)


def ignore() -> None:
    """Ignore all signals from here on: the command has ended and only tells how."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def exit_code(code: int) -> int:
    """Return the exit code for the signal that came first, in place of that of an interrupt. Other codes stay as they are."""
    return 128 + _received[0] if code == INTERRUPTED and _received else code


def was_ended() -> bool:
    """Whether a signal came that ends the program."""
    return bool(_received)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler is given both
    _received.append(number)
    raise KeyboardInterrupt
