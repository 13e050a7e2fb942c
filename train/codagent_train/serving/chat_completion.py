"""Writes chat completions as OpenAI's clients read them, whole or streamed, with vLLM's fields for token ids."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from codagent.models.tool_calls.json_in_text import find_json_calls
from codagent_train.serving.chat_request import ChatRequest
from codagent_train.serving.connection import Json


@dataclass(slots=True)
class ChatCompletion:
    """The reply to a request, which grows token by token.

    When the request has tools, a stream has all of the text in its last chunk, because only the whole text shows what of it is a call.
    """

    request: ChatRequest
    processor: Any  # a transformers tokenizer
    ends: frozenset[int]  # ids that end a reply
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)  # natural logarithms, under the distribution that was sampled from
    _streamed_text: str = ""  # the text in the chunks so far
    _name: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    _created: int = field(default_factory=lambda: int(time.time()))

    def make_first_chunk(self) -> Json:
        """Write the chunk that begins a stream: the role, and the ids of the prompt when they were asked for."""
        prompt = {"prompt_token_ids": list(self.request.prompt)} if self.request.ids else {}
        return self._make_chunk({"role": "assistant", "content": ""}) | prompt

    def add_token(self, token: tuple[int, float]) -> Json:
        """Add an id and its logprob, and write the chunk for them. A character of several tokens is in the chunk of its last token."""
        self.ids.append(token[0])
        self.logprobs.append(token[1])
        text = "" if self.request.tools else self._decode().rstrip("\N{REPLACEMENT CHARACTER}")
        addition, self._streamed_text = text[len(self._streamed_text) :], max(self._streamed_text, text, key=len)
        return self._make_chunk({"content": addition} if addition else {}, start=len(self.ids) - 1)

    def make_last_chunks(self) -> Iterator[Json]:
        """Write the chunks that end a stream: the rest of the text, the calls, why the reply ended, and the usage when it was asked for."""
        content, calls = self._split_calls()
        rest = content[len(self._streamed_text) :]
        delta: Json = {"content": rest} if rest else {}
        if calls:
            delta["tool_calls"] = [{"index": index} | call for index, call in enumerate(calls)]
        yield self._make_chunk(delta, finish=self._finish_reason(calls))
        if self.request.usage:
            yield self._make_envelope("chat.completion.chunk") | {"choices": [], "usage": self._count_usage()}

    def to_json(self) -> Json:
        """Write the whole reply."""
        content, calls = self._split_calls()
        message: Json = {"role": "assistant", "content": content or (None if calls else "")}
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": self._finish_reason(calls), **self._exact_fields(0)}
        prompt = {"prompt_token_ids": list(self.request.prompt)} if self.request.ids else {}
        return self._make_envelope("chat.completion") | {"choices": [choice], "usage": self._count_usage()} | prompt

    def _make_chunk(self, delta: Json, *, start: int | None = None, finish: str | None = None) -> Json:
        """Write a chunk with the ids and logprobs from index `start` on; None: with none of them."""
        exact = self._exact_fields(len(self.ids) if start is None else start)
        return self._make_envelope("chat.completion.chunk") | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **exact}]}

    def _make_envelope(self, kind: str) -> Json:
        return {"id": self._name, "object": kind, "created": self._created, "model": self.request.model}

    def _exact_fields(self, start: int) -> Json:
        """Return the logprobs and ids from index `start` on, as far as they were asked for."""
        ids, logprobs = self.ids[start:], self.logprobs[start:]
        fields: Json = {"logprobs": None}
        if self.request.logprobs:
            content = [
                {"token": self.processor.decode([token]), "logprob": logprob, "bytes": None, "top_logprobs": []}
                for token, logprob in zip(ids, logprobs, strict=True)
            ]
            fields["logprobs"] = {"content": content} if content else None
        return fields | ({"token_ids": ids} if self.request.ids else {})

    def _decode(self) -> str:
        return str(self.processor.decode(self.ids, skip_special_tokens=True))

    def _split_calls(self) -> tuple[str, list[Json]]:
        """Return the text without its calls, and the calls."""
        named_calls, rest = find_json_calls(self._decode(), self.request.tools) if self.request.tools else ([], self._decode())
        calls = [
            {"id": f"call_{secrets.token_hex(8)}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for name, arguments in named_calls
        ]
        return rest, calls

    def _finish_reason(self, calls: list[Json]) -> str:
        if self.ids[-1] not in self.ends:
            return "length"
        return "tool_calls" if calls else "stop"

    def _count_usage(self) -> Json:
        prompt, completion = len(self.request.prompt), len(self.ids)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
