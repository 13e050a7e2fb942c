"""Finds out by two steps with a tool how a model is best asked, and what it gives."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from codagent.errors import ModelError
from codagent.models.open import find_window
from codagent.prompts import prompt
from codagent.protocols import Model
from codagent.types import Calling, Message, Reply, Sampling, Tool

WAYS: tuple[Calling, ...] = ("native", "constrained", "text")
_WORD, _NEXT_WORD = "pelican", "heron"
_SAY = Tool("say", "Say a word.", {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]})
_QUESTION = Message("user", f"Call the tool `say` with the word {_WORD}. It answers with the word for the next call.")
_LONGEST = 2000  # tokens of a reply, so that there is room to think


@dataclass(frozen=True, slots=True)
class Finding:
    """What two steps have shown of a model."""

    calling: Calling  # the first way of calling tools that works
    first: Reply
    second: Reply
    seconds: float  # that both replies took
    window: int | None  # tokens, as the server tells; None: it does not say

    @property
    def gives_back(self) -> bool:
        """Whether the first reply held something, such as reasoning, that the server has taken back with the second request."""
        return bool(self.first.message.provider_data)

    @property
    def cached_share(self) -> float:
        """How much of the second prompt came from the provider's cache, 0..1."""
        return self.second.cached_tokens / max(1, self.second.prompt_tokens)

    @property
    def tokens_per_second(self) -> float:
        return (self.first.completion_tokens + self.second.completion_tokens) / max(self.seconds, 1e-6)


def probe(name: str, open_with: Callable[[Calling], Model], sampling: Sampling) -> Finding:
    """Take two steps with the model `name` in each way of calling, until one works.

    `open_with` opens the model for a way of calling. `sampling` is its own. Raises ModelError when none works, or when the model does not
    answer.
    """
    refused = ""
    for way in WAYS:
        model = open_with(way)
        try:
            if finding := _take_two_steps(model, way, sampling):
                return finding
        except ModelError as error:
            if way == WAYS[-1]:
                raise
            refused = refused or f"; the {way} way fails: {error}"
        finally:
            model.close()
    raise ModelError(f"{name} answers, but calls no tool in any of the ways tried ({', '.join(WAYS)}){refused}; take a model that can")


def _take_two_steps(model: Model, way: Calling, sampling: Sampling) -> Finding | None:
    """Return what was found, or None when the first reply calls no tool."""
    sampling = replace(sampling, max_tokens=min(_LONGEST, sampling.max_tokens))
    messages = (Message("system", prompt("system")), _QUESTION)
    began = time.monotonic()
    first = model.reply(messages, (_SAY,), sampling)
    calls = first.message.tool_calls
    # A native call is never in the text. A call that is in the text was only read from there.
    if not any(call.name == _SAY.name and _WORD in call.arguments for call in calls) or (way == "native" and _WORD in first.raw):
        return None
    answers = [Message("tool", _NEXT_WORD, tool_call_id=call.id) for call in calls]
    second = model.reply((*messages, first.message, *answers), (_SAY,), sampling)
    return Finding(way, first, second, time.monotonic() - began, find_window(model))
