"""SIGTERM, SIGHUP and a closed pipe, which end a command as an interrupt does: what was done so far is kept and told."""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

INTERRUPTED, PIPE_CLOSED = 128 + signal.SIGINT, 128 + signal.SIGPIPE  # exit codes
_received: list[int] = []


def listen() -> None:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt. One that whoever started codagent has set to be ignored, as nohup does, stays so.

    Python drops an exception that is raised in a destructor, or in the part of an import that it calls by itself. A KeyboardInterrupt that
    it drops is raised again.
    """
    sys.unraisablehook = _raise_again
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


def end_by_closed_pipe() -> None:
    """Raise KeyboardInterrupt in the main thread, because nobody reads any more what the command prints. Any thread may call this."""
    _received.append(signal.SIGPIPE)
    _send_to_main_thread(signal.SIGTERM)


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


def _raise_again(dropped: UnraisableHookArgs) -> None:
    if issubclass(dropped.exc_type, KeyboardInterrupt):
        number = _received[-1] if _received else signal.SIGINT
        threading.Thread(target=_interrupt_soon, args=(number,), daemon=True).start()
    else:
        sys.__unraisablehook__(dropped)


def _interrupt_soon(number: int) -> None:
    """Send a signal to the main thread when it has left the hook, in which an exception would be dropped, too."""
    while _is_in_hook():
        time.sleep(0.005)
    _send_to_main_thread(number)


def _is_in_hook() -> bool:
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame and frame.f_code is not _raise_again.__code__:
        frame = frame.f_back
    return frame is not None


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler is given both
    _received.append(number)
    raise KeyboardInterrupt


def _send_to_main_thread(number: int) -> None:
    """Send a signal that also ends a wait of the main thread."""
    signal.pthread_kill(threading.main_thread().ident or 0, number)
