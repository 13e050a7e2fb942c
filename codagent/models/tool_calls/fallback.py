"""Calls in text, for a server that refuses a request because it offers tools."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from codagent.errors import RequestRefused
from codagent.models.http.refusal import refuses_tools
from codagent.protocols import OnText, ignore_text
from codagent.types import Message, Reply, Sampling, Tool

ReplyMethod = TypeVar("ReplyMethod", bound=Callable[..., Reply])


def fall_back_to_text(reply: ReplyMethod) -> ReplyMethod:
    """Let a model's `reply` describe tools in the messages from the first time on that its server refuses tools."""

    @wraps(reply)
    def ask(self: Any, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        try:
            return reply(self, messages, tools, sampling, on_text)
        except RequestRefused as error:
            if self._calling != "native" or not tools or not refuses_tools(str(error)):
                raise
        self._calling = "text"
        return reply(self, messages, tools, sampling, on_text)

    return ask  # type: ignore[return-value]  # the same signature
