"""Tokens, money and time of one loop: a request reserves its worst case before it is sent and settles after it, so no limit is ever passed.

A reservation that was never settled (a crash, a connection that broke half-way) counts as spent: it may have been billed. A loop that is
resumed goes on with what its file says was spent.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from codagent.errors import LimitReached, RecordError
from codagent.store import jsonl
from codagent.store.price import Price
from codagent.types import Limits, Reply

_LAST_SECONDS = 2.0  # or a tenth of the limit: for bringing the work home
_FREE = Price(0.0, 0.0)
LEAST_REPLY = 16  # tokens; a reply that may not even be this long is not asked for


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens, sent and received, and US dollars. What a provider read from its cache is not counted again."""

    tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0  # requests whose cost is not known; `usd` does not have it

    @property
    def cost(self) -> float | None:
        """US dollars for all requests. None: the cost of at least one of them is not known."""
        return None if self.unpriced else self.usd

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.tokens + other.tokens, self.usd + other.usd, self.unpriced + other.unpriced)

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.tokens - other.tokens, self.usd - other.usd, self.unpriced - other.unpriced)


_MOST = 1e15  # of tokens, dollars and seconds; a line with more, or with what is no number, is damaged
_Number = Annotated[float, msgspec.Meta(ge=-_MOST, le=_MOST)]
_Count = Annotated[int, msgspec.Meta(ge=-int(_MOST), le=int(_MOST))]


class _Line(msgspec.Struct, frozen=True):
    """A line of the file."""

    entry: Literal["open", "reserve", "settle"]
    tokens: _Count
    usd: _Number
    at: Annotated[float, msgspec.Meta(ge=0, le=_MOST)]  # Unix time
    unpriced: _Count = 0


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What the file of a loop tells of its earlier sessions."""

    spent: Spent = Spent()
    unsettled: Spent = Spent()  # the part of it that was set aside and never settled
    seconds: float = 0.0
    checksum: int = 0  # of the last line


class Ledger:
    """Holds the limits of a loop over all its requests, and books each request on disk."""

    def __init__(self, path: Path | None, limits: Limits, price: Price | None, *, last_sign: float | None = None) -> None:
        """`path` None: nothing is kept on disk. `price` None: money is neither known nor limited. `last_sign` is when a loop that is
        resumed was last seen alive, as Unix time; None: when its file was last written."""
        self._path, self._limits, self._price = path, limits, price
        earlier = _read_spent(path, last_sign) if path and os.path.lexists(path) else _Earlier()
        self.spent, self._unsettled, self._checksum = earlier.spent, earlier.unsettled, earlier.checksum
        self.broken_off = earlier.unsettled  # what was set aside for requests that broke off, and may have been billed; it never falls
        self._deadline = time.monotonic() + limits.seconds - earlier.seconds
        self._kept_for_gates = min(_LAST_SECONDS, limits.seconds / 10)
        self.interrupted, self._clock = False, time.time() - time.monotonic()  # a clock that nobody sets, begun at the time of day
        self._book("open", Spent())

    @property
    def used(self) -> Spent:
        """What settled requests took. It never falls; `spent` has also what is set aside."""
        return self.spent - self._unsettled

    @property
    def limits(self) -> Limits:
        """The limits that the ledger holds."""
        return self._limits

    @property
    def seconds_left(self) -> float:
        """The seconds that the agent may still use: those until the end without those that are kept for the gates."""
        return self.seconds_until_end - self._kept_for_gates

    @property
    def seconds_until_end(self) -> float:
        """The seconds until the loop's time is over; negative afterwards."""
        return self._deadline - time.monotonic()

    def keep_for_gates(self, seconds: float) -> None:
        """Keep at least so many seconds for the gates. They are not the agent's."""
        self._kept_for_gates = max(self._kept_for_gates, seconds)

    def extend(self, limits: Limits) -> None:
        """Allow what `limits` say beside what is spent already, from this moment on, also after `interrupt`."""
        usd = None if limits.usd is None else limits.usd + self.spent.usd
        self._limits = replace(limits, tokens=limits.tokens + self.spent.tokens, usd=usd)
        self._deadline = time.monotonic() + limits.seconds
        self.interrupted = False

    def interrupt(self) -> None:
        """Interrupt the loop from another thread: the next `check_time` raises KeyboardInterrupt."""
        self.interrupted = True

    def check_interrupted(self) -> None:
        """Raise KeyboardInterrupt after `interrupt`."""
        if self.interrupted:
            raise KeyboardInterrupt

    def check_time(self) -> None:
        """Raise LimitReached once the agent's time is over, and KeyboardInterrupt after `interrupt`."""
        self.check_interrupted()
        if self.seconds_left <= 0:
            raise LimitReached("seconds", f"the time limit of {self._limits.seconds:g} s is reached; --max-seconds raises it")

    def reserve(self, prompt_tokens: int, max_tokens: int) -> tuple[int, Spent]:
        """Set aside what a request of at most `prompt_tokens` may cost. Return how many tokens its reply may have, and what was set aside.

        Raises LimitReached when not even a short reply fits into what is left, and as `check_time` does.
        """
        self.give_up()
        self.check_time()
        allowed = min(max_tokens, self._limits.tokens - self.spent.tokens - prompt_tokens)
        if allowed < LEAST_REPLY:
            would = f"{self._limits.tokens:,} tokens would be passed by the next request"
            raise LimitReached("tokens", f"{would}; --max-tokens raises the limit")
        price = (self._price or _FREE).highest()
        if self._price and self._limits.usd is not None:
            left = self._limits.usd - self.spent.usd - price.cost(prompt_tokens, 0)
            if price.completion_usd:
                allowed = min(allowed, int(left / price.completion_usd))
            if left < 0 or allowed < LEAST_REPLY:
                raise LimitReached("usd", f"${self._limits.usd:g} would be passed by the next request; --max-usd raises the limit")
        reserved = Spent(prompt_tokens + allowed, price.cost(prompt_tokens, allowed), unpriced=int(self._price is None))
        self._unsettled += reserved
        self._book("reserve", reserved)
        return allowed, reserved

    def give_up(self) -> None:
        """Count what is set aside as that of a request that broke off. It is part of `spent` still, and no part of `used`."""
        self.broken_off = self._unsettled

    def settle(self, reserved: Spent, used: Spent) -> None:
        """Replace what was set aside by what was used."""
        self._book("settle", used - reserved)
        self._unsettled -= reserved

    def cost(self, reply: Reply) -> float | None:
        """Return what a reply cost in US dollars: as its provider says, else by the price. None: neither is known."""
        if reply.cost_usd is not None or self._price is None:
            return reply.cost_usd
        return self._price.cost(reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens)

    def _book(self, entry: str, change: Spent) -> None:
        self.spent += change
        if self._path:
            line = {"entry": entry, **asdict(change), "at": self._clock + time.monotonic()}
            with suppress(FileNotFoundError), jsonl.open_to_append(self._path) as file:  # a person has removed the loop's folder
                self._checksum = jsonl.append(file, line, previous=self._checksum, sync=True)


def read_spent(path: Path) -> Spent:
    """Read what a loop has spent, with what was set aside and never settled. Raises RecordError when the file is damaged."""
    return _read_spent(path, None).spent


def _read_spent(path: Path, last_sign: float | None) -> _Earlier:
    """Read what was spent, and how many seconds the sessions took. A torn last line is dropped.

    Raises RecordError when another line is damaged or missing.
    """
    written, last_checksum = path.lstat().st_mtime, jsonl.drop_torn_line(path)
    spent, unsettled, open_, seconds, opened, at, number = Spent(), Spent(), Spent(), 0.0, 0.0, 0.0, 0
    checksum: int | None = None
    try:
        for line in jsonl.read_lines(path):
            number += 1
            value, checksum = jsonl.parse(line, checksum)
            booked = msgspec.convert(value, _Line)
            if booked.entry == "open":
                seconds += max(0.0, at - opened)
                opened = booked.at
            at = booked.at
            change = Spent(booked.tokens, booked.usd, booked.unpriced)
            spent += change
            if booked.entry == "reserve":
                unsettled, open_ = unsettled + change, change
            elif booked.entry == "settle":
                unsettled, open_ = unsettled - open_, Spent()
    except (ValueError, TypeError) as error:
        raise RecordError(f"{path}, line {number}, is damaged ({error}); what was spent is not known, so the loop cannot go on") from None
    return _Earlier(spent, unsettled, seconds + max(0.0, at - opened) + max(0.0, (last_sign or 0.0) - written), last_checksum)
