"""The limits that many loops have together: what a loop may use is set aside before it begins, so no limit is ever passed."""

from __future__ import annotations

import threading
from dataclasses import replace

from codagent.errors import LimitReached
from codagent.store.ledger import Spent
from codagent.types import Limits

_LEAST_TOKENS = 1_000  # a loop that may not even use these does not begin


class FleetBudget:
    """Tokens and US dollars for all loops of a command. None: no limit. Thread-safe."""

    def __init__(self, tokens: int | None, usd: float | None) -> None:
        self._tokens, self._usd = tokens, usd
        self._running = 0
        self._changed = threading.Condition()
        self._stopped = False

    def take(self, limits: Limits) -> Limits:
        """Set aside what a loop with these limits may use, and return the limits that it gets.

        A loop waits while others run and too little is left: they may use less than they may. The last ones get what is left. Raises
        LimitReached when that is nothing, and KeyboardInterrupt after `stop`.
        """
        with self._changed:
            while not self._stopped and self._running and not self._has_room(limits):
                self._changed.wait()
            if self._stopped:
                raise KeyboardInterrupt
            tokens = limits.tokens if self._tokens is None else min(limits.tokens, self._tokens)
            usd = limits.usd if self._usd is None else min(self._usd, self._usd if limits.usd is None else limits.usd)
            if tokens < min(_LEAST_TOKENS, limits.tokens):
                raise LimitReached("tokens", "the tokens for all loops are used up; --total-tokens raises the limit")
            if usd is not None and usd <= 0:
                raise LimitReached("usd", "the money for all loops is used up; --total-usd raises the limit")
            taken = replace(limits, tokens=tokens, usd=usd)
            self._book(tokens, usd or 0.0)
            self._running += 1
            return taken

    def settle(self, taken: Limits, spent: Spent) -> None:
        """Give back what a loop has not used."""
        with self._changed:
            self._running -= 1
            self._book(spent.tokens - taken.tokens, spent.usd - (taken.usd or 0.0))
            self._changed.notify_all()

    def book(self, spent: Spent) -> None:
        """Count what a loop had used before this command."""
        with self._changed:
            self._book(spent.tokens, spent.usd)

    def stop(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _has_room(self, limits: Limits) -> bool:
        enough_tokens = self._tokens is None or self._tokens >= limits.tokens
        return enough_tokens and (self._usd is None or limits.usd is None or self._usd >= limits.usd)

    def _book(self, tokens: int, usd: float) -> None:
        if self._tokens is not None:
            self._tokens -= tokens
        if self._usd is not None:
            self._usd -= usd
