"""Models of any provider that litellm knows. Importing litellm takes seconds, so it begins in the background when a model is opened."""

from __future__ import annotations

import importlib
import json
from typing import Any

from codagent.errors import ModelError, RequestRefused
from codagent.models.http.background import Background
from codagent.models.http.keys import clean_key, clean_provider_keys
from codagent.models.http.patience import Patience
from codagent.models.http.refusal import find_refusal
from codagent.models.http.retry import Transient, error_for_status
from codagent.models.servers.litellm_table import choose_effort, count_cached, find_cost, load, wants_marks
from codagent.models.servers.openai_api import sampling_fields, stop_reason
from codagent.models.servers.refused_fields import RefusedFields
from codagent.models.servers.request_options import NO_OPTIONS, RequestOptions
from codagent.models.servers.server_facts import choose_ollama_window, find_ollama_window
from codagent.models.tool_calls.fallback import fall_back_to_text
from codagent.models.tool_calls.formats import decode, encode, find_shown_files
from codagent.models.tool_calls.provider_data import add_piece, join_thinking, pack, pick_call_keys, pick_fields
from codagent.models.tool_calls.thoughts import remove_thoughts
from codagent.protocols import CallText, OnText, Thought, ignore_text
from codagent.redaction import hide_secrets
from codagent.text import replace_unencodable
from codagent.types import Calling, Message, Reply, Sampling, Tool, ToolCall

READ_S = 300.0
# What of a prompt a provider is to keep: its beginning, and all of it up to now, for the next request begins with the same.
_MARKS = [{"location": "message", "role": "system"}, {"location": "message", "index": -1}]


class LiteLLM:
    """A Model over litellm."""

    def __init__(
        self,
        model: str,
        *,
        calling: Calling = "native",
        url: str | None = None,
        api_key: str | None = None,
        options: RequestOptions = NO_OPTIONS,
        patience: Patience | None = None,
    ) -> None:
        """Prepare to ask `model`, which is a litellm name.

        `url` and `api_key` replace the provider's own; None leaves them to litellm, which reads its environment variables. `patience`
        None repeats failing requests for a short while. Raises UsageError when the provider's key cannot be sent.
        """
        clean_provider_keys(model.partition("/")[0])
        self._key = clean_key(api_key)
        self._library = Background(load)
        self._model, self._calling, self._patience, self._options = model, calling, patience or Patience(), options
        server = {"api_base": url, "api_key": self._key, "extra_headers": dict(options.headers)}
        self._server = {key: value for key, value in server.items() if value}
        provider, _, name = model.partition("/")
        self._longest = Background(lambda: find_ollama_window(url, name)) if provider == "ollama_chat" else None
        self._refused = RefusedFields()
        self._route = model  # the name by which litellm takes the way that the provider wants

    @property
    def name(self) -> str:
        return self._model

    @fall_back_to_text
    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        chat, functions, schema = encode(self._calling, messages, tools)
        chat = json.loads(replace_unencodable(json.dumps(chat, ensure_ascii=False)).encode(errors="replace"))  # litellm fails on surrogates
        request: dict[str, Any] = {"messages": chat, **sampling_fields(sampling, "max_tokens"), **self._server}
        if self._longest:
            request["num_ctx"] = choose_ollama_window(chat, sampling.max_tokens, self._longest.get())
        if wants_marks(self._model):
            request["cache_control_injection_points"] = _MARKS
        if functions:
            request["tools"] = functions
        if schema:
            request["response_format"] = {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}
        answer, chunks = self._patience.ask(self._model, lambda hear: self._try_once(request, hear), on_text)
        message, usage = answer.choices[0].message, answer.usage
        refusal = find_refusal(answer.choices[0].finish_reason, message.model_dump())
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
            cost_usd=find_cost(self._model, usage),
            tokens=None,
            sampling=self._refused.sampled(sampling),
            policy=f"{self._model} {self._calling}{self._options.describe()}",
            raw=raw,
            cached_tokens=count_cached(usage),
            refusal=refusal,
        )

    def close(self) -> None:
        pass

    def _try_once(self, request: dict[str, Any], on_text: OnText) -> tuple[Any, list[Any]]:
        """Send one request; return the built answer and the stream's chunks. What the provider refuses of a request is mended once.

        Raises Transient for a failure that may pass, ModelError for any other.
        """
        while True:
            sent = self._refused.change(request)
            try:
                return self._send(sent, on_text)
            except RequestRefused as error:
                if not self._learn(str(error), sent):
                    raise

    def _learn(self, refusal: str, sent: dict[str, Any]) -> bool:
        """Learn from the provider's words about what was sent. Returns whether that changes the next request."""
        provider, _, name = self._model.partition("/")
        if "/v1/responses" in refusal and self._route == self._model:
            self._route = f"{provider}/responses/{name}"
            return True
        return self._refused.learn(refusal, sent)

    def _send(self, request: dict[str, Any], on_text: OnText) -> tuple[Any, list[Any]]:
        litellm = self._library.get()
        on_text("")  # no further request is sent once nobody waits for it
        openai = importlib.import_module("openai")  # litellm's errors derive from its errors
        effort = self._options.effort
        thinking = {"reasoning_effort": choose_effort(self._model, effort)} if effort else {}
        try:
            chunks = []
            stream = litellm.completion(
                model=self._route,
                **request,
                **thinking,
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
        except openai.APIError as error:
            raise _error_for(self._model, error) from error
        except (openai.OpenAIError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError(f"{self._model}: litellm failed: {_one_line(error)}") from error
        if answer is None or not answer.choices:
            raise Transient(f"{self._model} sent an empty answer")
        return answer, chunks


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
    """Return the text in one chunk of a stream; a CallText when it holds only arguments of calls, a Thought when it holds neither."""
    text = arguments = thought = ""
    for choice in chunk.choices[:1]:
        text += choice.delta.content or ""
        arguments += "".join(call.function.arguments or "" for call in choice.delta.tool_calls or [] if call.function)
        thought += getattr(choice.delta, "reasoning_content", None) or ""
    return text or (CallText(arguments) if arguments else Thought(thought))


def _error_for(model: str, error: Any) -> Transient | ModelError:
    """Translate an error of litellm that has an HTTP status. 500: it has none."""
    headers = getattr(error, "litellm_response_headers", None) or getattr(getattr(error, "response", None), "headers", None) or {}
    text = f"{type(error).__name__}: {hide_secrets(str(error))}"
    if isinstance(getattr(error, "body", None), list):  # as Google's compatible API sends it; litellm's text is without it
        text += f" {hide_secrets(str(error.body))}"
    if type(error).__name__ == "ContextWindowExceededError":
        text += " [context_length_exceeded]"
    return error_for_status(int(getattr(error, "status_code", None) or 500), text, headers, model)


def _one_line(error: BaseException) -> str:
    return " ".join(hide_secrets(str(error)).split())[:300]
