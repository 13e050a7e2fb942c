"""Reads chat completion requests as OpenAI's clients write them. Known fields are checked; unknown ones are ignored."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codagent.errors import UsageError
from codagent.types import Sampling
from codagent_train.files import refuse_unreadable
from codagent_train.policy.tokenizer import Ids
from codagent_train.serving.connection import Json

MIN_TEMPERATURE = 1e-5  # stands for temperature 0: at this temperature the most probable token is certain
MAX_TEMPERATURE = 100  # at this temperature all tokens are practically equally probable
# This server samples from the whole distribution and does not constrain replies. These fields are accepted with values that change nothing.
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
_KIND_NAMES = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", dict: "an object"}
_MAX_SHOWN_CHARS = 80  # of a value that is quoted in an error


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a request asks for."""

    model: str
    prompt: Ids
    sampling: Sampling
    tools: tuple[str, ...]  # names of the functions that the reply may call
    stream: bool  # whether the reply is sent token by token
    logprobs: bool  # whether the reply has the logprob of each token
    ids: bool  # whether the reply has token ids (vLLM's `return_token_ids`)
    usage: bool  # whether a streamed reply ends with the number of tokens


def parse_request(body: Json, processor: Any, *, model: str, context_tokens: int) -> ChatRequest:
    """Check a request, and render its messages to token ids with the chat template of `processor`, a transformers tokenizer.

    `model` is taken when the request names none. `context_tokens` bounds prompt and reply together.
    Raises UsageError when the body is not a request, asks for something that this server does not do, or is too long.
    """
    _check_neutral(body)
    temperature, seed, max_tokens = _read_sampling(body)
    try:
        tools = (_check_tools(body.get("tools")) or None) if body.get("tool_choice") != "none" else None
        messages = [_normalize_message(message) for message in body["messages"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _not_a_request(f"{type(error).__name__}: {error}") from error
    if not messages:
        raise _not_a_request("it has no messages")
    prompt = _render(messages, tools, processor)
    if tools and prompt == _render(messages, None, processor):
        raise UsageError("the model's chat template shows it no tools; describe them in the messages, as codagent's calling in text does")
    room = context_tokens - len(prompt)
    if room < (max_tokens or 1):
        raise UsageError(
            f"this model's maximum context length is {context_tokens} tokens; the messages have {len(prompt)},"
            f" and {_quote(max_tokens or 1)} are asked for; shorten them"
        )
    return ChatRequest(
        model=_read_field(body, "model", str) or model,
        prompt=prompt,
        sampling=Sampling(temperature, 1.0, 0, max_tokens or room, seed),
        tools=tuple(tool["function"]["name"] for tool in tools or ()),
        stream=bool(_read_field(body, "stream", bool)),
        logprobs=bool(_read_field(body, "logprobs", bool)),
        ids=bool(_read_field(body, "return_token_ids", bool)),
        usage=bool(_read_field(_read_field(body, "stream_options", dict) or {}, "include_usage", bool)),
    )


def _check_neutral(body: Json) -> None:
    """Raise UsageError when a field asks for what this server does not do."""
    for name, values in _NEUTRAL.items():
        value = body.get(name)
        if value is not None and (value not in values or isinstance(value, bool)):  # True would equal 1
            raise UsageError(f"{name} is {_quote(value)}, and this server takes {json.dumps(values[0])} only; leave it out")


def _read_sampling(body: Json) -> tuple[float, int, int | None]:
    """Return the temperature, the seed as an unsigned 64-bit number, and the longest reply in tokens.

    None for the longest reply: as long as the context allows. A request without a seed gets a random one.
    """
    temperature, seed = _read_field(body, "temperature", float), _read_field(body, "seed", int)
    max_tokens = _read_field(body, "max_completion_tokens", int)
    if max_tokens is None:
        max_tokens = _read_field(body, "max_tokens", int)
    temperature = 1.0 if temperature is None else temperature
    if not (0 <= temperature <= MAX_TEMPERATURE) or (max_tokens is not None and max_tokens < 1):
        raise UsageError(f"temperature must be 0 or more, and {MAX_TEMPERATURE} or less, and max_tokens 1 or more")
    return max(float(temperature), MIN_TEMPERATURE), (secrets.randbits(63) if seed is None else seed) % 2**64, max_tokens


def _read_field(body: Json, name: str, kind: type) -> Any:
    """Return a field that must be of the kind; None when it is absent. Raises UsageError when it is of another kind."""
    value = body.get(name)
    kinds = (int, float) if kind is float else (kind,)
    if value is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool)):
        raise _not_a_request(f"{name} is {_quote(value)}, and must be {_KIND_NAMES[kind]}")
    return value


def _not_a_request(reason: str) -> UsageError:
    return UsageError(f"this is not a chat completion request ({reason}); see OpenAI's API reference")


def _quote(value: Any) -> str:
    """Write a value as JSON for an error, cut after `_MAX_SHOWN_CHARS` characters."""
    try:
        text = json.dumps(value)
    except RecursionError:
        text = f"{type(value).__name__} in {type(value).__name__}"
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}..."


def _check_tools(tools: Any) -> list[Json] | None:
    """Return the tools. Raises TypeError or KeyError when they are not a list of functions with names."""
    if tools is not None and not isinstance(tools, list):
        raise TypeError("tools is not an array")
    for tool in tools or ():
        _check_text(tool["function"]["name"])
    return tools


def _normalize_message(message: Json) -> Json:
    """Return a message as chat templates read it: the content is a text, the arguments of calls are objects.

    Raises AttributeError, KeyError, TypeError or ValueError when it is not a message.
    """
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part["text"] for part in content)
    fields = {key: _check_text(message[key]) for key in ("tool_call_id", "name") if message.get(key) is not None}
    calls = message.get("tool_calls")
    calls = [call | {"function": call["function"] | _parse_arguments(call["function"])} for call in ([] if calls is None else calls)]
    if calls:
        fields["tool_calls"] = calls
    return {"role": _check_text(message["role"]), "content": _check_text("" if content is None else content), **fields}


def _parse_arguments(function: Json) -> Json:
    """Return the arguments of a call as {"arguments": object}; {} when they are no text or no JSON, and stay as they are."""
    _check_text(function["name"])
    arguments = function.get("arguments")
    try:
        return {"arguments": json.loads(arguments)} if isinstance(arguments, str) else {}
    except (ValueError, RecursionError):
        return {}


def _check_text(value: Any) -> Any:
    """Return the value. Raises TypeError when it is not a text."""
    if not isinstance(value, str):
        raise TypeError(f"{_quote(value)} is not a text")
    return value


def _render(messages: list[Json], tools: list[Json] | None, processor: Any) -> Ids:
    """Return the ids of the prompt. Raises UsageError when the chat template, which is a program, fails on the messages."""
    with refuse_unreadable("the model's chat template does not take these messages", "see OpenAI's API reference"):
        return tuple(processor.apply_chat_template(messages, tools=tools, add_generation_prompt=True, tokenize=True, return_dict=False))
