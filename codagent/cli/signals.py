"""SIGTERM, SIGHUP and a closed pipe, which end a command as an interrupt does: what was done so far is kept and told.

An interrupt is not raised while Python looks for a module: the lock of all imports would be kept, and other threads wait for it forever.
"""

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
_FINDING = "<frozen importlib._bootstrap>"  # Python's own code, which takes and gives back the lock
_received: list[int] = []


def listen() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt. One that is ignored, as by nohup, stays so.

    Python drops an exception that is raised in a destructor, or in the part of an import that it calls by itself. A KeyboardInterrupt that
    it drops is raised again.
    """
    sys.unraisablehook = _raise_again
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
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
        _interrupt_later(_received[-1] if _received else signal.SIGINT)
    else:
        sys.__unraisablehook__(dropped)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _would_harm(frame):
        _interrupt_later(number)
        return
    if number != signal.SIGINT:
        _received.append(number)
    raise KeyboardInterrupt


def _interrupt_later(number: int) -> None:
    """Send a signal to the main thread when it can take it."""

    def send() -> None:
        while _would_harm(sys._current_frames().get(threading.main_thread().ident or 0)):
            time.sleep(0.001)
        _send_to_main_thread(number)

    threading.Thread(target=send, daemon=True).start()


def _would_harm(frame: FrameType | None) -> bool:
    """Whether an exception must not be raised in a frame: Python looks for a module there, or is in the hook, or postpones another one."""
    if frame and frame.f_code.co_filename == _FINDING:
        return True
    while frame and frame.f_code not in (_raise_again.__code__, _interrupt.__code__):
        frame = frame.f_back
    return frame is not None


def _send_to_main_thread(number: int) -> None:
    """Send a signal that also ends a wait of the main thread."""
    signal.pthread_kill(threading.main_thread().ident or 0, number)
