"""Chat completions as OpenAI's clients write and read them, with vLLM's fields for ids. Pure, but for the chat template."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from codagent.errors import UsageError
from codagent.models.tool_calls.json_in_text import find_json_calls
from codagent.types import Sampling
from codagent_train.policy.tokenizer import Ids

Json = dict[str, Any]
COLDEST = 1e-5  # the temperature that 0 is taken for, at which the likeliest token is certain
# What is drawn from is the whole distribution, and what a reply says is free: these may be given, but change nothing.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "top_p": (1,),
    "top_k": (0, -1),
    "min_p": (0,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "logit_bias": ({},),
    "stop": ([], ""),
    "response_format": ({"type": "text"},),
    "tool_choice": ("auto", "none"),
    "top_logprobs": (0,),
}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a request asks for; `tools` are the names that it may call."""

    model: str
    prompt: Ids
    sampling: Sampling
    tools: tuple[str, ...]
    stream: bool
    logprobs: bool
    ids: bool
    usage: bool


def parse_request(body: Json, processor: Any, *, model: str, context_tokens: int) -> ChatRequest:
    """The request in `body`, of `model` when it names none. UsageError for what is no request, or asks for what is not to be had."""
    for name, values in _NEUTRAL.items():
        if body.get(name) is not None and body[name] not in values:
            raise UsageError(f"{name} is {json.dumps(body[name])}, and this server takes {json.dumps(values[0])} only; leave it out")
    tools = None if body.get("tool_choice") == "none" else body.get("tools") or None
    try:
        names = tuple(str(tool["function"]["name"]) for tool in tools or ())
        chat = [_message(message) for message in body["messages"]]
        longest = body.get("max_completion_tokens") or body.get("max_tokens")
        temperature, seed = float(_or_default(body.get("temperature"), 1.0)), int(_or_default(body.get("seed"), secrets.randbits(63)))
        longest = None if longest is None else int(longest)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"this is not a chat completion request ({type(error).__name__}: {error}); see OpenAI's API reference") from error
    if not (0 <= temperature < float("inf")) or (longest is not None and longest < 1):
        raise UsageError("temperature must be 0 or more, and max_tokens 1 or more")
    prompt = _render(chat, tools, processor)
    if tools and prompt == _render(chat, None, processor):
        raise UsageError("the model's chat template shows it no tools; describe them in the messages, as codagent's calling in text does")
    room = context_tokens - len(prompt)
    if room < (longest or 1):
        raise UsageError(
            f"this model's maximum context length is {context_tokens} tokens; the messages have {len(prompt)},"
            f" and {longest or 1} are asked for; shorten them"
        )
    return ChatRequest(
        model=str(body.get("model") or model),
        prompt=prompt,
        sampling=Sampling(max(temperature, COLDEST), 1.0, 0, longest or room, seed % 2**64),
        tools=names,
        stream=bool(body.get("stream")),
        logprobs=bool(body.get("logprobs")),
        ids=bool(body.get("return_token_ids")),
        usage=bool((body.get("stream_options") or {}).get("include_usage")),
    )


@dataclass(slots=True)
class ChatCompletion:
    """What is drawn for a request, as chunks while it grows, and whole. With tools, the text comes last: only then is it known what of it
    is a call."""

    request: ChatRequest
    processor: Any
    ends: frozenset[int]
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    _streamed_text: str = ""
    _name: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    _created: int = field(default_factory=lambda: int(time.time()))

    def first_chunk(self) -> Json:
        prompt = {"prompt_token_ids": list(self.request.prompt)} if self.request.ids else {}
        return self._chunk({"role": "assistant", "content": ""}) | prompt

    def add_token(self, token: tuple[int, float]) -> Json:
        """The chunk for a token; characters that are not whole yet come with a later one."""
        self.ids.append(token[0])
        self.logprobs.append(token[1])
        text = "" if self.request.tools else self._text().rstrip("\N{REPLACEMENT CHARACTER}")
        fresh, self._streamed_text = text[len(self._streamed_text) :], max(self._streamed_text, text, key=len)
        return self._chunk({"content": fresh} if fresh else {}, since=len(self.ids) - 1)

    def last_chunks(self) -> Iterator[Json]:
        content, calls = self._split_calls()
        delta: Json = {"content": content[len(self._streamed_text) :]} if content[len(self._streamed_text) :] else {}
        if calls:
            delta["tool_calls"] = [{"index": index} | call for index, call in enumerate(calls)]
        yield self._chunk(delta, finish=self._finish(calls))
        if self.request.usage:
            yield self._envelope("chat.completion.chunk") | {"choices": [], "usage": self._usage()}

    def to_json(self) -> Json:
        content, calls = self._split_calls()
        message: Json = {"role": "assistant", "content": content or (None if calls else "")}
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": self._finish(calls), **self._logprobs_and_ids(0)}
        prompt = {"prompt_token_ids": list(self.request.prompt)} if self.request.ids else {}
        return self._envelope("chat.completion") | {"choices": [choice], "usage": self._usage()} | prompt

    def _chunk(self, delta: Json, *, since: int | None = None, finish: str | None = None) -> Json:
        exact = self._logprobs_and_ids(len(self.ids) if since is None else since)
        return self._envelope("chat.completion.chunk") | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **exact}]}

    def _envelope(self, kind: str) -> Json:
        return {"id": self._name, "object": kind, "created": self._created, "model": self.request.model}

    def _logprobs_and_ids(self, since: int) -> Json:
        """The logprobs and ids of a choice, from a place on, where they were asked for."""
        ids, logprobs = self.ids[since:], self.logprobs[since:]
        fields: Json = {"logprobs": None}
        if self.request.logprobs:
            content = [
                {"token": self.processor.decode([token]), "logprob": logprob, "bytes": None, "top_logprobs": []}
                for token, logprob in zip(ids, logprobs, strict=True)
            ]
            fields["logprobs"] = {"content": content} if content else None
        return fields | ({"token_ids": ids} if self.request.ids else {})

    def _text(self) -> str:
        return str(self.processor.decode(self.ids, skip_special_tokens=True))

    def _split_calls(self) -> tuple[str, list[Json]]:
        """The text, and the calls that were taken out of it."""
        named_calls, rest = find_json_calls(self._text(), self.request.tools) if self.request.tools else ([], self._text())
        calls = [
            {"id": f"call_{secrets.token_hex(8)}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for name, arguments in named_calls
        ]
        return rest, calls

    def _finish(self, calls: list[Json]) -> str:
        if self.ids[-1] not in self.ends:
            return "length"
        return "tool_calls" if calls else "stop"

    def _usage(self) -> Json:
        read, completion = len(self.request.prompt), len(self.ids)
        return {"prompt_tokens": read, "completion_tokens": completion, "total_tokens": read + completion}


def _or_default(value: Any, default: Any) -> Any:
    return default if value is None else value


def _message(message: Json) -> Json:
    """As chat templates take it: the content a text, the arguments of calls an object."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part["text"] for part in content)
    wanted = {key: message[key] for key in ("tool_call_id", "name") if message.get(key) is not None}
    if message.get("tool_calls"):
        wanted["tool_calls"] = [call | {"function": call["function"] | _object(call["function"])} for call in message["tool_calls"]]
    return {"role": str(message["role"]), "content": content or "", **wanted}


def _object(function: Json) -> Json:
    arguments = function.get("arguments")
    try:
        return {"arguments": json.loads(arguments)} if isinstance(arguments, str) else {}
    except ValueError:
        return {}


def _render(chat: list[Json], tools: list[Json] | None, processor: Any) -> Ids:
    from jinja2 import TemplateError

    try:
        return tuple(processor.apply_chat_template(chat, tools=tools, add_generation_prompt=True, tokenize=True, return_dict=False))
    except (TemplateError, TypeError, ValueError) as error:
        raise UsageError(f"the model's chat template does not take these messages: {error}") from error
