"""Tokens, money and time of one loop: a request reserves its worst case before it is sent and settles after it, so no limit is ever passed.

A reservation that was never settled (a crash, a connection that broke half-way) counts as spent: it may have been billed. A loop that is
taken up again goes on with what its file says was spent.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from codagent.errors import ContextOverflow, LimitReached, RecordError
from codagent.files import MAX_RECORD_BYTES, open_plain, read_plain
from codagent.text import count_bytes
from codagent.types import Limits, Message, Model, OnText, Price, Reply, Sampling, Tool, ignore_text

FRAME_TOKENS = 512  # what a provider may add around messages and tools
_LAST_SECONDS = 2.0  # or a tenth of the limit: for bringing the work home
LEAST_REPLY = 16  # tokens; a reply that may not even be this long is not asked for


@dataclass(frozen=True, slots=True)
class Spent:
    tokens: int = 0
    usd: float = 0.0


class Ledger:
    """Holds `limits` over all requests of a loop, and keeps each on disk. `price` None: money is neither known nor limited."""

    def __init__(self, path: Path | None, limits: Limits, price: Price | None, *, last_sign: float | None = None) -> None:
        """`last_sign` is when the loop was last seen alive (Unix time), for one that is taken up again."""
        self._path, self._limits, self._price = path, limits, price
        self.spent, seconds = _replayed(path, last_sign) if path and os.path.lexists(path) else (Spent(), 0.0)
        self._deadline = time.monotonic() + limits.seconds - seconds
        self._held = min(_LAST_SECONDS, limits.seconds / 10)
        self.interrupted = False
        self._book("open", Spent())

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def seconds_left(self) -> float:
        """For the agent: what is held back for the gates is not its."""
        return self.seconds_until_end - self._held

    @property
    def seconds_until_end(self) -> float:
        return self._deadline - time.monotonic()

    def hold(self, seconds: float) -> None:
        """Keep so much time back for the gates."""
        self._held = max(self._held, seconds)

    def interrupt(self) -> None:
        """From another thread: what next asks for time is interrupted."""
        self.interrupted = True

    def check_interrupted(self) -> None:
        """Raise KeyboardInterrupt after `interrupt`."""
        if self.interrupted:
            raise KeyboardInterrupt

    def check_time(self) -> None:
        """Raise LimitReached once the time is over, and KeyboardInterrupt after `interrupt`."""
        self.check_interrupted()
        if self.seconds_left <= 0:
            raise LimitReached("seconds", f"the time limit of {self._limits.seconds:g} s is reached; --max-seconds raises it")

    def reserve(self, prompt_tokens: int, max_tokens: int) -> tuple[int, Spent]:
        """Set aside a request of at most `prompt_tokens`: how long its reply may be, and what was set aside.

        LimitReached when not even a short reply fits.
        """
        self.check_time()
        allowed = min(max_tokens, self._limits.tokens - self.spent.tokens - prompt_tokens)
        if allowed < LEAST_REPLY:
            raise LimitReached(
                "tokens", f"{self._limits.tokens:,} tokens would be passed by the next request; --max-tokens raises the limit"
            )
        if self._price and self._limits.usd is not None:
            left = self._limits.usd - self.spent.usd - self._cost(prompt_tokens, 0)
            if self._price.completion_usd:
                allowed = min(allowed, int(left / self._price.completion_usd))
            if left < 0 or allowed < LEAST_REPLY:
                raise LimitReached("usd", f"${self._limits.usd:g} would be passed by the next request; --max-usd raises the limit")
        reserved = Spent(prompt_tokens + allowed, self._cost(prompt_tokens, allowed))
        self._book("reserve", reserved)
        return allowed, reserved

    def settle(self, reserved: Spent, used: Spent) -> None:
        """Replace what was set aside by what was used."""
        self._book("settle", Spent(used.tokens - reserved.tokens, used.usd - reserved.usd))

    def cost(self, reply: Reply) -> float:
        """What a reply cost: as its provider says, else by the price."""
        return self._cost(reply.prompt_tokens, reply.completion_tokens) if reply.cost_usd is None else reply.cost_usd

    def _cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        price = self._price or Price(0.0, 0.0)
        return prompt_tokens * price.prompt_usd + completion_tokens * price.completion_usd

    def _book(self, entry: str, change: Spent) -> None:
        self.spent = Spent(self.spent.tokens + change.tokens, self.spent.usd + change.usd)
        if self._path:
            with os.fdopen(open_plain(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND), "a", encoding="utf-8") as file:
                file.write(json.dumps({"entry": entry, "tokens": change.tokens, "usd": change.usd, "at": time.time()}) + "\n")
                file.flush()
                os.fsync(file.fileno())


def _replayed(path: Path, last_sign: float | None) -> tuple[Spent, float]:
    """What a ledger's file says was spent, and the seconds that its sessions took. A torn last line is dropped."""
    data = read_plain(path, max_bytes=MAX_RECORD_BYTES)
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        os.truncate(path, len(whole))
    spent, seconds, opened, at = Spent(), 0.0, 0.0, 0.0
    try:
        for entry in map(json.loads, whole.splitlines()):
            if entry["entry"] == "open":
                seconds += at - opened
                opened = entry["at"]
            at = entry["at"]
            spent = Spent(spent.tokens + entry["tokens"], spent.usd + entry["usd"])
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path} is damaged ({error}); what was spent is not known, so the loop cannot go on") from None
    return spent, seconds + max(at, last_sign or 0.0) - opened


class Metered:
    """A model whose every request goes through the ledger. A reply ends when the loop's time is over, in the middle of a word."""

    def __init__(self, model: Model, ledger: Ledger, on_text: OnText = ignore_text) -> None:
        """`on_text` hears every reply as it is written."""
        self._model, self._ledger, self._on_text = model, ledger, on_text
        self._known: tuple[int, int] = (0, 0)  # so many first messages came to so many tokens

    @property
    def name(self) -> str:
        return self._model.name

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        def hear(text: str) -> None:
            self._on_text(text)
            on_text(text)
            self._ledger.check_time()

        allowed, reserved = self._ledger.reserve(self._bound(messages, tools), sampling.max_tokens)
        try:
            reply = self._model.reply(messages, tools, replace(sampling, max_tokens=allowed), hear)
        except ContextOverflow:  # refused unread
            self._ledger.settle(reserved, Spent())
            raise
        self._ledger.settle(reserved, Spent(reply.total_tokens, self._ledger.cost(reply)))
        self._known = (len(messages) + 1, reply.total_tokens)
        return reply

    def close(self) -> None:
        self._model.close()

    def _bound(self, messages: tuple[Message, ...], tools: tuple[Tool, ...]) -> int:
        """No request has more tokens than this: what the server counted last time, plus a token for each byte that came since."""
        count, tokens = self._known
        if len(messages) <= count:  # another episode, or a shortened context: nothing is known of it
            count, tokens = 0, FRAME_TOKENS + sum(len(tool.description) + len(json.dumps(tool.parameters)) for tool in tools)
        return tokens + sum(count_bytes(message) for message in messages[count:])
