"""Limits how often something is done in an event loop, such as a drawing of text that comes in many pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Pace:
    """Calls a function at once when its last call was long enough ago, else as soon as it is. What is asked for meanwhile is one call."""

    def __init__(self, act: Callable[[], None], pause_s: float) -> None:
        """`pause_s` is the least time between two calls."""
        self._act, self._pause_s = act, pause_s
        self._at, self._asked = float("-inf"), False

    def ask(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the function be called in the thread of the loop. From any thread. Raises RuntimeError when the loop is closed."""
        if not self._asked:
            self._asked = True
            loop.call_soon_threadsafe(self._schedule, loop)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_later(max(0.0, self._at + self._pause_s - loop.time()), self._call, loop)

    def _call(self, loop: asyncio.AbstractEventLoop) -> None:
        self._at, self._asked = loop.time(), False
        self._act()
