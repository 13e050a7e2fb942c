"""Waits for a server in a thread of its own, so that whoever asked stays able to give up, whatever the server does."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from codagent.protocols import OnText

T = TypeVar("T")
_BEAT_S = 0.25


class Abandoned(BaseException):
    """Nobody waits for the answer any more. Ends the thread that reads it."""


def wait_patiently(ask: Callable[[OnText], T], on_text: OnText) -> T:
    """Return what `ask` returns, which is called in a thread with a function that hears text.

    `on_text` hears in this thread what `ask` hears, and "" four times a second while there is nothing to hear. What `on_text` raises ends
    the wait at once: then the thread ends with the next text that it hears. Raises what `ask` raises.
    """
    heard: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    made: list[T] = []
    raised: list[BaseException] = []
    abandoned = threading.Event()

    def hear(text: str) -> None:
        if abandoned.is_set():
            raise Abandoned
        if text:
            heard.put(text)

    def work() -> None:
        try:
            made.append(ask(hear))
        except BaseException as error:  # noqa: BLE001 -- raised again below
            raised.append(error)
        finally:
            heard.put(None)

    threading.Thread(target=work, daemon=True).start()
    try:
        while (text := _next(heard)) is not None:
            on_text(text)
    except BaseException:
        abandoned.set()
        raise
    if raised:
        raise raised[0]
    return made[0]


def _next(heard: queue.SimpleQueue[str | None]) -> str | None:
    """Return the next text, and "" when there is none for a while. None: there will be no more."""
    try:
        return heard.get(timeout=_BEAT_S)
    except queue.Empty:
        return ""
