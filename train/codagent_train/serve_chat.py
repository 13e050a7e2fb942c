"""Chat completions as OpenAI's clients write and read them, with vLLM's fields for ids. Pure, but for the chat template."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from codagent.errors import UsageError
from codagent.models.spoken import find_spoken
from codagent.types import Sampling
from codagent_train.engines import Ids
from codagent_train.folder import refuse_unreadable

Json = dict[str, Any]
COLDEST = 1e-5  # the temperature that 0 is taken for, at which the likeliest token is certain
HOTTEST = 100  # a temperature at which all tokens are as likely as each other
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
_FIELDS: Mapping[str, type] = {"model": str, "stream": bool, "logprobs": bool, "return_token_ids": bool}
_WORDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", dict: "an object"}
_SHOWN = 80  # characters of what a request says, where it is told why that is refused


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for; `tools` are the names that it may call."""

    model: str
    prompt: Ids
    sampling: Sampling
    tools: tuple[str, ...]
    stream: bool
    logprobs: bool
    ids: bool
    usage: bool


def asked(body: Json, processor: Any, *, model: str, context_tokens: int) -> Asked:
    """The request in `body`, of `model` when it names none. UsageError for what is no request, or asks for what is not to be had."""
    for name, values in _NEUTRAL.items():
        value = body.get(name)
        if value is not None and (value not in values or isinstance(value, bool)):
            raise UsageError(f"{name} is {_shown(value)}, and this server takes {json.dumps(values[0])} only; leave it out")
    named, stream, logprobs, ids = (_given(body, each, kind) for each, kind in _FIELDS.items())
    usage = _given(_given(body, "stream_options", dict) or {}, "include_usage", bool)
    longest = next((each for name in ("max_completion_tokens", "max_tokens") if (each := _given(body, name, int)) is not None), None)
    temperature, seed = _or(_given(body, "temperature", float), 1.0), _or(_given(body, "seed", int), secrets.randbits(63))
    if not (0 <= temperature <= HOTTEST) or (longest is not None and longest < 1):
        raise UsageError(f"temperature must be 0 or more, and {HOTTEST} or less, and max_tokens 1 or more")
    try:
        tools = (_tools(body.get("tools")) or None) if body.get("tool_choice") != "none" else None
        chat = [_message(message) for message in body["messages"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"this is not a chat completion request ({type(error).__name__}: {error}); see OpenAI's API reference") from error
    if not chat:
        raise UsageError("this is not a chat completion request (it has no messages); see OpenAI's API reference")
    prompt = _rendered(chat, tools, processor)
    if tools and prompt == _rendered(chat, None, processor):
        raise UsageError("the model's chat template shows it no tools; describe them in the messages, as codagent's calling in text does")
    room = context_tokens - len(prompt)
    if room < (longest or 1):
        raise UsageError(
            f"this model's maximum context length is {context_tokens} tokens; the messages have {len(prompt)},"
            f" and {_shown(longest or 1)} are asked for; shorten them"
        )
    return Asked(
        model=named or model,
        prompt=prompt,
        sampling=Sampling(max(float(temperature), COLDEST), 1.0, 0, longest or room, seed % 2**64),
        tools=tuple(tool["function"]["name"] for tool in tools or ()),
        stream=bool(stream),
        logprobs=bool(logprobs),
        ids=bool(ids),
        usage=bool(usage),
    )


@dataclass(slots=True)
class Answer:
    """What is drawn for a request, as chunks while it grows, and whole. With tools, the text comes last: only then is it known what of it
    is a call."""

    asked: Asked
    processor: Any
    ends: frozenset[int]
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    _said: str = ""
    _name: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    _created: int = field(default_factory=lambda: int(time.time()))

    def first(self) -> Json:
        prompt = {"prompt_token_ids": list(self.asked.prompt)} if self.asked.ids else {}
        return self._chunk({"role": "assistant", "content": ""}) | prompt

    def add(self, drawn: tuple[int, float]) -> Json:
        """The chunk for a token; characters that are not whole yet come with a later one."""
        self.ids.append(drawn[0])
        self.logprobs.append(drawn[1])
        text = "" if self.asked.tools else self._text().rstrip("\N{REPLACEMENT CHARACTER}")
        fresh, self._said = text[len(self._said) :], max(self._said, text, key=len)
        return self._chunk({"content": fresh} if fresh else {}, since=len(self.ids) - 1)

    def last(self) -> Iterator[Json]:
        content, calls = self._spoken()
        delta: Json = {"content": content[len(self._said) :]} if content[len(self._said) :] else {}
        if calls:
            delta["tool_calls"] = [{"index": at} | call for at, call in enumerate(calls)]
        yield self._chunk(delta, finish=self._finish(calls))
        if self.asked.usage:
            yield self._named("chat.completion.chunk") | {"choices": [], "usage": self._usage()}

    def whole(self) -> Json:
        content, calls = self._spoken()
        message: Json = {"role": "assistant", "content": content or (None if calls else "")}
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": self._finish(calls), **self._exact(0)}
        prompt = {"prompt_token_ids": list(self.asked.prompt)} if self.asked.ids else {}
        return self._named("chat.completion") | {"choices": [choice], "usage": self._usage()} | prompt

    def _chunk(self, delta: Json, *, since: int | None = None, finish: str | None = None) -> Json:
        exact = self._exact(len(self.ids) if since is None else since)
        return self._named("chat.completion.chunk") | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **exact}]}

    def _named(self, kind: str) -> Json:
        return {"id": self._name, "object": kind, "created": self._created, "model": self.asked.model}

    def _exact(self, since: int) -> Json:
        """The logprobs and ids of a choice, from a place on, where they were asked for."""
        ids, logprobs = self.ids[since:], self.logprobs[since:]
        found: Json = {"logprobs": None}
        if self.asked.logprobs:
            told = [
                {"token": self.processor.decode([one]), "logprob": logprob, "bytes": None, "top_logprobs": []}
                for one, logprob in zip(ids, logprobs, strict=True)
            ]
            found["logprobs"] = {"content": told} if told else None
        return found | ({"token_ids": ids} if self.asked.ids else {})

    def _text(self) -> str:
        return str(self.processor.decode(self.ids, skip_special_tokens=True))

    def _spoken(self) -> tuple[str, list[Json]]:
        """The text, and the calls that were taken out of it."""
        found, rest = find_spoken(self._text(), self.asked.tools) if self.asked.tools else ([], self._text())
        calls = [
            {"id": f"call_{secrets.token_hex(8)}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for name, arguments in found
        ]
        return rest, calls

    def _finish(self, calls: list[Json]) -> str:
        if self.ids[-1] not in self.ends:
            return "length"
        return "tool_calls" if calls else "stop"

    def _usage(self) -> Json:
        read, written = len(self.asked.prompt), len(self.ids)
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _given(body: Json, name: str, kind: type) -> Any:
    """The field of that kind; None when there is none. UsageError when it is of another."""
    value = body.get(name)
    kinds = (int, float) if kind is float else (kind,)
    if value is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool)):
        why = f"{name} is {_shown(value)}, and is to be {_WORDS[kind]}"
        raise UsageError(f"this is not a chat completion request ({why}); see OpenAI's API reference")
    return value


def _shown(value: Any) -> str:
    try:
        told = json.dumps(value)
    except RecursionError:
        told = f"{type(value).__name__} in {type(value).__name__}"
    return told if len(told) <= _SHOWN else f"{told[:_SHOWN]}..."


def _tools(tools: Any) -> list[Json] | None:
    """TypeError or KeyError for what is no list of tools."""
    if tools is not None and not isinstance(tools, list):
        raise TypeError("tools is not an array")
    for tool in tools or ():
        _text(tool["function"]["name"])
    return tools


def _message(message: Json) -> Json:
    """As chat templates take it: the content a text, the arguments of calls an object. TypeError, KeyError and more for no message."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part["text"] for part in content)
    wanted = {key: _text(message[key]) for key in ("tool_call_id", "name") if message.get(key) is not None}
    calls = [call | {"function": call["function"] | _object(call["function"])} for call in _or(message.get("tool_calls"), [])]
    if calls:
        wanted["tool_calls"] = calls
    return {"role": _text(message["role"]), "content": _text(_or(content, "")), **wanted}


def _object(function: Json) -> Json:
    arguments = _text(function["name"]) and function.get("arguments")
    try:
        return {"arguments": json.loads(arguments)} if isinstance(arguments, str) else {}
    except (ValueError, RecursionError):
        return {}


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        raise TypeError(f"{_shown(value)} is not a text")
    return value


def _rendered(chat: list[Json], tools: list[Json] | None, processor: Any) -> Ids:
    with refuse_unreadable("the model's chat template does not take these messages", "see OpenAI's API reference"):  # it is code, too
        return tuple(processor.apply_chat_template(chat, tools=tools, add_generation_prompt=True, tokenize=True, return_dict=False))
