"""A model whose requests are booked in a ledger: set aside before they are sent, settled when their reply has come."""

from __future__ import annotations

import json
from dataclasses import replace

from codagent.errors import ContextOverflow, NotServed, RequestRefused
from codagent.protocols import Model, OnText, ignore_text
from codagent.redaction import Redactor
from codagent.store.ledger import Ledger, Spent
from codagent.text import count_bytes
from codagent.types import Message, Reply, Sampling, Tool

FRAME_TOKENS = 512  # what a provider may add around messages and tools


class MeteredModel:
    """A model whose every request goes through the ledger. A reply ends when the loop's time is over, in the middle of a word."""

    def __init__(self, model: Model, ledger: Ledger, on_text: OnText = ignore_text) -> None:
        """`on_text` hears every reply as it is written, without secrets, and "" while the model waits for its server."""
        self._model, self._ledger, self._show = model, ledger, Redactor(on_text)
        self._known: tuple[int, int] = (0, 0)  # a number of first messages, and how many tokens the server counted for them

    @property
    def name(self) -> str:
        return self._model.name

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        def hear(text: str) -> None:
            self._show(text)
            on_text(text)
            self._ledger.check_time()

        allowed, reserved = self._ledger.reserve(self._max_tokens(messages, tools), sampling.max_tokens)
        try:
            reply = self._model.reply(messages, tools, replace(sampling, max_tokens=allowed), hear)
        except (ContextOverflow, NotServed, RequestRefused):  # the server did no work, so nothing was spent
            self._ledger.settle(reserved, Spent())
            raise
        except BaseException:
            self._ledger.give_up()
            raise
        self._show.finish()
        cost = self._ledger.cost(reply)
        self._ledger.settle(reserved, Spent(reply.total_tokens - reply.cached_tokens, cost or 0.0, unpriced=int(cost is None)))
        self._known = (len(messages) + 1, reply.total_tokens)
        return replace(reply, cost_usd=cost)

    def close(self) -> None:
        self._model.close()

    def _max_tokens(self, messages: tuple[Message, ...], tools: tuple[Tool, ...]) -> int:
        """Return a number of tokens that no request passes: what the server counted last time, and one for each byte since then."""
        count, tokens = self._known
        if len(messages) <= count:  # another episode, or a shortened context: the server has counted none of it
            count, tokens = 0, FRAME_TOKENS + sum(len(tool.description) + len(json.dumps(tool.parameters)) for tool in tools)
        return tokens + sum(count_bytes(message) for message in messages[count:])
