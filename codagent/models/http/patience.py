"""Waits for a server in a thread of its own, so that whoever asked stays able to give up, whatever the server does.

Requests that fail are repeated meanwhile, and the person hears of it once a minute.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from codagent.models.http.retry import PATIENCE_S, Transient, retry
from codagent.protocols import OnText, PromptProgress, Restart, ignore_text

T = TypeVar("T")
_BEAT_S = 0.25
_MINUTE_S = 60.0
_MOST_BROKEN = 8  # answers that were begun and broken off, each of which may have to be paid for


class Patience:
    """How long the failing requests of one model are repeated, and who hears of it."""

    def __init__(self, seconds: float = PATIENCE_S, say: Callable[[str], None] = ignore_text) -> None:
        """`say` hears once a minute what is waited for."""
        self._seconds, self._say = seconds, say
        self._reached = False  # whether the server has ever answered

    def ask(self, who: str, try_once: Callable[[OnText], T], on_text: OnText) -> T:
        """Return what `try_once` returns, as `wait_patiently` does, and repeat it after each Transient. `who` is the model's name.

        Raises ModelError when the patience is over. It is PATIENCE_S at most while the server has never answered, because its address may
        be wrong.
        """
        wait = _Wait(who)

        def hear_and_say(text: str) -> None:
            on_text(text)
            if line := wait.next_line():
                self._say(line)

        def try_again(hear: OnText) -> T:
            if wait.heard or wait.failures > 1:  # the first failure may only mean that an idle connection was closed
                hear(Restart(f"asking {who} again: {wait.why}"))
            wait.begin_try()
            return try_once(lambda text: hear(wait.listen(text)))

        answer = wait_patiently(lambda hear: retry(lambda: try_again(hear), lambda error: self._seconds_for(error, wait)), hear_and_say)
        self._reached = True
        return answer

    def _seconds_for(self, error: Transient, wait: _Wait) -> float:
        """Return for how many seconds failures are waited out, now that `error` is the latest. 0: no longer."""
        self._reached = self._reached or error.kind == "busy" or wait.heard
        wait.add(error)
        if wait.broken > _MOST_BROKEN:
            return 0.0
        return self._seconds if self._reached else min(self._seconds, PATIENCE_S)


@dataclass(slots=True)
class _Wait:
    """The failures of one request."""

    who: str
    why: str = ""  # "": a try is under way
    began: float | None = None  # None: nothing has failed
    told: int = 0  # the minutes that were told last
    failures: int = 0
    broken: int = 0
    heard: bool = False  # whether this try has brought text

    def begin_try(self) -> None:
        self.why, self.heard = "", False

    def listen(self, text: str) -> str:
        self.heard = self.heard or (bool(text) and not isinstance(text, PromptProgress))
        return text

    def add(self, error: Transient) -> None:
        self.began = self.began or time.monotonic()
        self.failures += 1
        self.broken += self.heard or error.kind == "broken"
        self.why = f"it says {error.says}" if error.says else str(error)

    def next_line(self) -> str:
        """Return what the person is to hear now; "": nothing."""
        minutes = int((time.monotonic() - self.began) / _MINUTE_S) if self.began and self.why else 0
        if minutes <= self.told:
            return ""
        self.told = minutes
        return f"waiting for {self.who}: {self.why}; {minutes} min so far"


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
