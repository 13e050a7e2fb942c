"""Models of any provider that litellm knows. Importing litellm takes seconds, so it begins in the background when a model is opened."""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

from codagent.errors import ModelError
from codagent.models.http.background import Background
from codagent.models.http.keys import clean_key, clean_provider_keys, hide_keys
from codagent.models.http.patience import Patience
from codagent.models.http.refusal import find_refusal
from codagent.models.http.retry import Transient, error_for_status
from codagent.models.openai_api import sampling_fields, stop_reason
from codagent.models.tool_calls.formats import decode, encode, find_shown_files
from codagent.models.tool_calls.provider_data import add_piece, join_thinking, pack, pick_call_keys, pick_fields
from codagent.models.tool_calls.thoughts import remove_thoughts
from codagent.protocols import OnText, ignore_text
from codagent.text import replace_unencodable
from codagent.types import Calling, Message, Reply, Sampling, Tool, ToolCall

READ_S = 300.0


class LiteLLM:
    """A Model over litellm."""

    def __init__(
        self,
        model: str,
        *,
        calling: Calling = "native",
        url: str | None = None,
        api_key: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Prepare to ask `model`, which is a litellm name.

        `url` and `api_key` replace the provider's own; None leaves them to litellm, which reads its environment variables. `patience`
        None repeats failing requests for a short while. Raises UsageError when the provider's key cannot be sent.
        """
        clean_provider_keys(model.partition("/")[0])
        self._key = clean_key(api_key)
        self._library = Background(load)
        self._model, self._calling, self._patience = model, calling, patience or Patience()
        self._server = {key: value for key, value in (("api_base", url), ("api_key", api_key)) if value}

    @property
    def name(self) -> str:
        return self._model

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        chat, functions, schema = encode(self._calling, messages, tools)
        chat = json.loads(replace_unencodable(json.dumps(chat, ensure_ascii=False)).encode(errors="replace"))  # litellm fails on surrogates
        request: dict[str, Any] = {"model": self._model, "messages": chat, **sampling_fields(sampling, "max_tokens"), **self._server}
        if functions:
            request["tools"] = functions
        if schema:
            request["response_format"] = {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}
        answer, chunks = self._patience.ask(self._model, lambda hear: self._try_once(request, hear), on_text)
        message, usage = answer.choices[0].message, answer.usage
        refusal = find_refusal(answer.choices[0].finish_reason, self._model.partition("/")[0])
        raw = message.content or ""
        text = remove_thoughts(raw)
        calls = tuple(
            ToolCall(call.id or f"call_{len(messages)}_{at}", call.function.name or "", call.function.arguments or "")
            for at, call in enumerate(message.tool_calls or [])
        )
        if not calls:
            cut = answer.choices[0].finish_reason == "length"
            text, calls = decode(self._calling, raw, tools, files=find_shown_files(messages), turn=len(messages), cut=cut)
        return Reply(
            message=Message("assistant", text, calls, provider_data=_provider_data(message, chunks)),
            stop="refused" if refusal else stop_reason(answer.choices[0].finish_reason, calls),
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cost_usd=_cost(self._model, usage),
            tokens=None,
            sampling=sampling,
            policy=f"{self._model} {self._calling}",
            raw=raw,
            refusal=refusal,
        )

    def close(self) -> None:
        pass

    def _try_once(self, request: dict[str, Any], on_text: OnText) -> tuple[Any, list[Any]]:
        """Send one request; return the built answer and the stream's chunks.

        Raises Transient for a failure that may pass, ModelError for any other.
        """
        litellm = self._library.get()
        on_text("")  # no further request is sent once nobody waits for it
        openai = importlib.import_module("openai")  # litellm's errors derive from its errors
        try:
            chunks = []
            stream = litellm.completion(
                **request,
                stream=True,
                stream_options={"include_usage": True},
                num_retries=0,
                max_retries=0,
                timeout=READ_S,
                drop_params=True,
            )
            for chunk in stream:
                chunks.append(chunk)
                on_text(_text_of(chunk))
            answer = litellm.stream_chunk_builder(chunks, messages=request["messages"])
        except (openai.APITimeoutError, openai.APIConnectionError) as error:
            # litellm reports a refused connection and a broken stream as internal server errors, with the cause in the text.
            raise Transient(f"{self._model} cannot be reached: {_one_line(error)}; check the network", kind="unreachable") from error
        except openai.APIStatusError as error:
            raise _error_for(self._model, error) from error
        except (openai.OpenAIError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError(f"{self._model}: litellm failed: {_one_line(error)}") from error
        if answer is None or not answer.choices:
            raise Transient(f"{self._model} sent an empty answer")
        return answer, chunks


def load() -> Any:
    """Import litellm, configured to download nothing and to print nothing."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm: Any = importlib.import_module("litellm")
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    return litellm


def find_prices(model: str) -> dict[str, Any] | None:
    """Return litellm's entry for `model`, which has prices in US dollars per token. Returns None when litellm has no prices for it."""
    costs = load().model_cost
    entry = costs.get(model) or costs.get(model.partition("/")[2])
    return entry if entry and "input_cost_per_token" in entry and "output_cost_per_token" in entry else None


def _cost(model: str, usage: Any) -> float | None:
    """Return the price of a reply in US dollars, with cached prompt tokens at their own price. Returns None when no price is known."""
    entry = find_prices(model)
    if entry is None:
        return None
    details = getattr(usage, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None) or 0
    price: float = entry["input_cost_per_token"]
    cached_price: float = entry.get("cache_read_input_token_cost") or price
    return float((usage.prompt_tokens - cached) * price + cached * cached_price + usage.completion_tokens * entry["output_cost_per_token"])


def _provider_data(message: Any, chunks: list[Any]) -> str:
    """Return what the provider wants back with a message.

    Blocks and details of reasoning are put together from the `chunks`: litellm's builder writes their texts twice or leaves them out.
    """
    plain: dict[str, Any] = message.model_dump(mode="json", exclude_none=True)
    fields, blocks = pick_fields(plain), []
    streamed: dict[str, Any] = {}
    for chunk in chunks:
        for choice in chunk.choices[:1]:
            delta = pick_fields(choice.delta.model_dump(mode="json", exclude_none=True))
            blocks += delta.pop("thinking_blocks", [])
            add_piece(streamed, {key: value for key, value in delta.items() if isinstance(value, list)})
    fields |= streamed
    if whole := join_thinking(blocks):
        fields["thinking_blocks"] = whole
    beside = {key: value for key, value in fields.pop("provider_specific_fields", {}).items() if key not in fields}
    if beside:
        fields["provider_specific_fields"] = beside
    return pack(fields, [pick_call_keys(call) for call in plain.get("tool_calls") or []])


def _text_of(chunk: Any) -> str:
    """Return the text in one chunk of a stream, arguments of tool calls included."""
    text = ""
    for choice in chunk.choices[:1]:
        text += choice.delta.content or ""
        text += "".join(call.function.arguments or "" for call in choice.delta.tool_calls or [] if call.function)
    return text


def _error_for(model: str, error: Any) -> Transient | ModelError:
    """Translate an error of litellm that has an HTTP status."""
    headers = getattr(error, "litellm_response_headers", None) or getattr(getattr(error, "response", None), "headers", None) or {}
    text = f"{type(error).__name__}: {hide_keys(str(error))}"
    if type(error).__name__ == "ContextWindowExceededError":
        text += " [context_length_exceeded]"
    return error_for_status(int(error.status_code or 500), text, headers, model)


def _one_line(error: BaseException) -> str:
    return " ".join(hide_keys(str(error)).split())[:300]
