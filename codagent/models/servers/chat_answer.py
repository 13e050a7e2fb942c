"""Collects an answer of `/chat/completions` from its events, in all the shapes in which servers send them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

from codagent.models.tool_calls.provider_data import add_piece, pack, pick_call_keys, pick_fields
from codagent.protocols import CallText, PromptProgress, Thought
from codagent.text import parse_json
from codagent.types import Tokens, ToolCall

Json = dict[str, Any]
_MOST_ID = 2**31


@dataclass(slots=True)
class _Call:
    """A tool call that is being streamed. `index` None: the server does not number its calls."""

    index: int | None
    id: str = ""
    name: str = ""
    arguments: str = ""
    more: Json = field(default_factory=dict)  # keys that codagent does not read

    def is_whole(self) -> bool:
        """Whether the arguments are a complete JSON object, to which nothing can be added."""
        try:
            return self.arguments.rstrip().endswith("}") and isinstance(parse_json(self.arguments), dict)
        except ValueError:
            return False


@dataclass(slots=True)
class ChatAnswer:
    """An answer that is being streamed."""

    content: str = ""
    calls: list[_Call] = field(default_factory=list)
    finish: str | None = None
    size: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float | None = None
    prompt_ids: list[Any] = field(default_factory=list)
    ids: list[Any] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)
    more: Json = field(default_factory=dict)  # fields of the message that go back to the server
    refusal: Json = field(default_factory=dict)  # fields in which the server says what it refuses

    def add(self, event: Json) -> str:
        """Add one event, and return the text in it; a CallText when it holds only arguments of calls, a Thought when it holds neither; a
        PromptProgress when it only tells how much of the prompt is read.

        Raises TypeError or AttributeError for other shapes.
        """
        if reading := read_progress(event):
            return reading
        usage = event.get("usage") or {}
        self.prompt_tokens = _read_count(usage, "prompt_tokens") or self.prompt_tokens
        self.completion_tokens = _read_count(usage, "completion_tokens") or self.completion_tokens
        self.cached_tokens = _read_cached(usage) or self.cached_tokens
        self.cost_usd = _read_cost(usage) if usage else self.cost_usd
        self.prompt_ids = _read_list(event, "prompt_token_ids") or self.prompt_ids
        thought, text, content = "", "", len(self.content)
        for choice in (event.get("choices") or [])[:1]:
            self.ids += _read_list(choice, "token_ids")
            self.logprobs += _read_logprobs(choice)
            text += self._add_delta(choice)
            self._add_refusal(choice)
            finish = choice.get("finish_reason")
            self.finish = finish if isinstance(finish, str) and finish else self.finish
            thought += _read_thought(choice.get("delta") or {})
        self.size += len(text)
        return self.content[content:] or (CallText(text) if text else Thought(thought))

    def tokens(self) -> Tokens | None:
        """Return the ids and logprobs. Returns None unless there is exactly one number for every token that the server counted."""
        exact = self.prompt_ids and self.ids and len(self.ids) == len(self.logprobs) == self.completion_tokens
        if not exact or not all(map(_is_id, [*self.prompt_ids, *self.ids])) or not all(map(_is_logprob, self.logprobs)):
            return None
        return Tokens(tuple(self.prompt_ids), tuple(self.ids), tuple(map(float, self.logprobs)))

    def tool_calls(self, turn: int) -> tuple[ToolCall, ...]:
        """Return the calls. A call without an id, or with that of another call, gets one that is made of `turn` and its place."""
        made: list[ToolCall] = []
        for at, call in enumerate(self._named_calls()):
            known = not call.id or any(call.id == other.id for other in made)
            made.append(ToolCall(f"call_{turn}_{at}" if known else call.id, call.name, call.arguments))
        return tuple(made)

    def provider_data(self) -> str:
        """Return what the server wants back with the message, and with each of its `tool_calls`."""
        return pack(self.more, [call.more for call in self._named_calls()])

    def _named_calls(self) -> list[_Call]:
        return [call for call in self.calls if call.name or call.arguments]

    def _add_delta(self, choice: Json) -> str:
        delta = choice.get("delta") or {}
        if not delta and not self.size and not self.calls:  # some servers repeat the whole message at the end
            delta, self.more = choice.get("message") or {}, {}
        add_piece(self.more, pick_fields(delta))
        written = _read_content(delta.get("content"))
        self.content += written
        parts = delta.get("tool_calls") or []
        if isinstance(parts, dict):
            parts = [parts]
        if not parts and delta.get("function_call"):
            parts = [{"function": delta["function_call"]}]
        return written + "".join(self._add_call(part, at, len(parts)) for at, part in enumerate(parts))

    def _add_refusal(self, choice: Json) -> None:
        said = (choice.get("delta") or choice.get("message") or {}).get("refusal")
        if said:
            self.refusal["refusal"] = self.refusal.get("refusal", "") + _read_text(said)
        if choice.get("content_filter_results"):
            self.refusal["content_filter_results"] = choice["content_filter_results"]

    def _add_call(self, part: Json, at: int, count: int) -> str:
        function = part.get("function") or {}
        name, given, index = _read_text(function.get("name")), _read_text(part.get("id")), _read_index(part.get("index"))
        arguments = _read_arguments(function.get("arguments"))
        call = self._find_call(given, index, name, (at, count))
        if call and call.is_whole() and arguments.strip():
            if call.arguments == arguments and call.id == given and given:
                return ""  # the same call once more
            if call.arguments.strip() == "{}" and (not name or call.id == given != ""):
                call.arguments = ""  # it stood for what follows
            elif name or given:
                call = None
        if call is None or (name and call.name not in ("", name) and call.arguments):
            call = _Call(index)
            self.calls.append(call)
        call.id = call.id or given
        if name.startswith(call.name):  # a server may send the whole name again, or more of it
            call.name = name or call.name
        elif call.name != name:
            call.name += name
        call.arguments += arguments
        add_piece(call.more, pick_call_keys(part))
        return arguments

    def _find_call(self, given: str, index: int | None, name: str, place: tuple[int, int]) -> _Call | None:
        """Find the call that a part goes on with; None: the part begins another call. `place`: which part of how many."""
        latest = [call for call in self.calls if index is None or call.index == index]
        same = next((call for call in reversed(latest) if given and call.id == given), None)
        if same or not latest:
            return same
        if index is None and not given and not name:
            return latest[max(place[0] - place[1], -len(latest))]
        last = latest[-1]
        if given and last.id:
            return None
        if index is None and (given or (name and (place[1] > 1 or last.name != name))):
            return None
        return last


def _read_content(content: Any) -> str:
    """Return the text of a content, which may be a list of parts. Thinking in it is no text."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list):
        return "".join(map(_read_content, content))
    if not isinstance(content, dict):
        raise TypeError(f"{type(content).__name__} as content")
    if content.get("type", "text") not in ("text", "output_text"):
        return ""
    text = content.get("text")
    return _read_text(text.get("value") if isinstance(text, dict) else text)


def _read_thought(delta: Json) -> str:
    thoughts = (delta.get(name) for name in ("reasoning_content", "reasoning", "reasoning_text"))
    return next((thought for thought in thoughts if isinstance(thought, str)), "")


def _read_arguments(arguments: Any) -> str:
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return json.dumps(arguments, ensure_ascii=False)


def _read_text(value: Any) -> str:
    return "" if value is None else str(value)


def _read_index(index: Any) -> int | None:
    return int(index) if isinstance(index, int | str) and str(index).isdecimal() else None


def _read_count(usage: Json, key: str) -> int:
    count = usage.get(key)
    return count if isinstance(count, int) and count is not True and count > 0 else 0


def _read_cached(usage: Json) -> int:
    """Return how many tokens of the prompt came from a cache, as OpenAI, DeepSeek or Moonshot say it."""
    details = usage.get("prompt_tokens_details")
    named = _read_count(details, "cached_tokens") if isinstance(details, dict) else 0
    return named or _read_count(usage, "prompt_cache_hit_tokens") or _read_count(usage, "cached_tokens")


def _read_cost(usage: Json) -> float | None:
    """Return what OpenRouter bills, in US dollars. Returns None when the server does not say."""
    cost = usage.get("cost")
    return float(cost) if isinstance(cost, int | float) and cost is not True and math.isfinite(cost) and cost >= 0 else None


def _read_list(source: Json, key: str) -> list[Any]:
    """Return a list that holds what is at `key`. What is no list becomes one that is refused later."""
    value = source.get(key)
    return value if isinstance(value, list) else [] if value is None else [None]


def _read_logprobs(choice: Json) -> list[Any]:
    logprobs = choice.get("logprobs")
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else logprobs
    if tokens is None:
        return []
    return [token.get("logprob") if isinstance(token, dict) else None for token in tokens] if isinstance(tokens, list) else [None]


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST_ID


def _is_logprob(value: Any) -> bool:
    """Whether a value is the logarithm of a probability. Rounding may bring it a little above 0."""
    return type(value) in (int, float) and math.isfinite(value) and value < 1e-3


def read_progress(event: Json) -> PromptProgress | None:
    """Return how much of the prompt llama.cpp has read, of what it had not read for an earlier request. None: the event does not say."""
    progress = event.get("prompt_progress")
    if not isinstance(progress, dict):
        return None
    cached = _read_count(progress, "cache")
    unread = max(1, _read_count(progress, "total") - cached)
    done = min(1.0, max(0, _read_count(progress, "processed") - cached) / unread)
    return PromptProgress(f"{done:.0%} of {unread:,} tokens")
