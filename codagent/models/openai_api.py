"""An OpenAI-compatible server, used over plain HTTP, which starts fast and gives access to token ids and logprobs.

A reply has tokens if the server returns ids (vLLM's `return_token_ids`). Its logprobs are those of the model, before temperature.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from codagent.models.http.background import Background
from codagent.models.http.retry import PATIENCE_S, RequestRefused, Transient, retry
from codagent.models.tool_calls.formats import decode, encode, find_shown_files
from codagent.models.tool_calls.provider_data import add_piece, pack, pick_call_keys, pick_fields
from codagent.protocols import OnText, ignore_text
from codagent.text import BYTES_PER_TOKEN
from codagent.types import Calling, FinishReason, Message, Reply, Sampling, Tokens, Tool, ToolCall

if TYPE_CHECKING:
    from codagent.models.http.client import HttpClient

Json = dict[str, Any]
_EXTRAS: tuple[Json, ...] = ({"logprobs": True, "top_logprobs": 0, "return_token_ids": True}, {"stream_options": {"include_usage": True}})


class OpenAIModel:
    """A Model over `/chat/completions`."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        calling: Calling = "native",
        api_key: str | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Use the server at `url`. `on_text` is called with each piece of a reply, arguments of tool calls included."""

        def connect() -> HttpClient:
            from codagent.models.http.client import HttpClient

            return HttpClient(url, api_key=api_key)

        self._connection = Background(connect)  # importing an HTTP client takes a third of a second
        self._url = url.rstrip("/")
        self._model, self._calling, self._patience_s = model, calling, patience_s
        self._extras = list(_EXTRAS)  # the fields that this server has not refused
        self._gives_back = True  # whether this server takes back the reasoning that it sends

    @property
    def name(self) -> str:
        return f"{self._url}#{self._model}"

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        if not self._gives_back:
            messages = tuple(replace(message, provider_data="") for message in messages)
        chat, functions, schema = encode(self._calling, messages, tools)
        body: Json = {"model": self._model, "messages": chat, "stream": True, **sampling_fields(sampling, "max_tokens")}
        if functions:
            body["tools"] = functions
        if schema:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}
        try:
            answer = retry(lambda: self._try_once(body, on_text), self._patience_s)
        except RequestRefused:
            if not self._gives_back or not any(message.provider_data for message in messages):
                raise
            body["messages"] = encode(self._calling, tuple(replace(message, provider_data="") for message in messages), tools)[0]
            answer = retry(lambda: self._try_once(body, on_text), self._patience_s)
            self._gives_back = False  # it took the same request without what it had sent itself
        text, calls = answer.content, tuple(answer.calls[at].call(at, len(messages)) for at in sorted(answer.calls))
        if not calls:
            text, calls = decode(
                self._calling, answer.content, tools, files=find_shown_files(messages), turn=len(messages), cut=answer.finish == "length"
            )
        return Reply(
            message=Message("assistant", text, calls, provider_data=answer.provider_data()),
            stop=stop_reason(answer.finish, calls),
            prompt_tokens=answer.prompt_tokens or sum(len(str(message)) for message in chat) // BYTES_PER_TOKEN,
            completion_tokens=answer.completion_tokens or answer.size // BYTES_PER_TOKEN + 1,
            cost_usd=None,
            tokens=answer.tokens(),
            sampling=sampling,
            policy=f"{self._model} {self._calling}",
            raw=answer.content,
        )

    def close(self) -> None:
        self._connection.get().close()

    def _try_once(self, body: Json, on_text: OnText) -> _Answer:
        """Send one request and collect its stream. Fields that this server refuses are left out, from then on."""
        client = self._connection.get()
        while True:
            answer = _Answer()
            extras = {key: value for extra in self._extras for key, value in extra.items()}
            try:
                for event in client.stream("/chat/completions", body | extras):
                    on_text(answer.add(event))
            except RequestRefused:
                if not self._extras:
                    raise
                del self._extras[0]
            except (AttributeError, KeyError, TypeError) as error:
                raise Transient(f"{client.who} sent something that is not a chat completion") from error
            else:
                if answer.finish is None and not answer.size:
                    raise Transient(f"{client.who} sent an empty answer")
                return answer


def default_model(listing: Json) -> str:
    """Choose a model from what `/models` lists: the first adapter (an entry with a `parent`), else the first entry.

    Returns "" when the list has no name.
    """
    models = [model for model in listing.get("data") or [] if isinstance(model, dict)]
    chosen = next((model for model in models if model.get("parent")), models[0] if models else {})
    return str(chosen.get("id") or "")


def sampling_fields(sampling: Sampling, longest: Literal["max_tokens", "n_predict"]) -> Json:
    """Return the fields of a request that say how to sample. A value of None is left out, so that the server chooses."""
    chosen = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k, "seed": sampling.seed}
    return {longest: sampling.max_tokens} | {key: value for key, value in chosen.items() if value is not None}


@dataclass(slots=True)
class _Call:
    """A tool call that is being streamed."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    more: Json = field(default_factory=dict)  # keys that codagent does not read

    def call(self, at: int, turn: int) -> ToolCall:
        return ToolCall(self.id or f"call_{turn}_{at}", self.name, self.arguments)


@dataclass(slots=True)
class _Answer:
    """An answer that is being streamed."""

    content: str = ""
    calls: dict[int, _Call] = field(default_factory=dict)
    finish: str | None = None
    size: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_ids: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    more: Json = field(default_factory=dict)  # fields of the message that go back to the server

    def add(self, event: Json) -> str:
        """Add one event, and return the text in it."""
        usage = event.get("usage") or {}
        self.prompt_tokens = usage.get("prompt_tokens") or self.prompt_tokens
        self.completion_tokens = usage.get("completion_tokens") or self.completion_tokens
        self.prompt_ids = event.get("prompt_token_ids") or self.prompt_ids
        text = ""
        for choice in (event.get("choices") or [])[:1]:
            delta = choice.get("delta") or choice.get("message") or {}
            self.finish = choice.get("finish_reason") or self.finish
            self.ids += choice.get("token_ids") or []
            self.logprobs += [token["logprob"] for token in (choice.get("logprobs") or {}).get("content") or []]
            add_piece(self.more, pick_fields(delta))
            written = delta.get("content") or ""
            self.content += written
            text += written + "".join(self._add_call(part, at) for at, part in enumerate(delta.get("tool_calls") or []))
        self.size += len(text)
        return text

    def tokens(self) -> Tokens | None:
        """Return the ids and logprobs. Returns None unless there is exactly one of each for every token that the server counted."""
        exact = self.prompt_ids and len(self.ids) == len(self.logprobs) == self.completion_tokens
        return Tokens(tuple(self.prompt_ids), tuple(self.ids), tuple(self.logprobs)) if exact else None

    def provider_data(self) -> str:
        return pack(self.more, [self.calls[at].more for at in sorted(self.calls)])

    def _add_call(self, part: Json, at: int) -> str:
        call = self.calls.setdefault(part.get("index", at), _Call())
        function = part.get("function") or {}
        add_piece(call.more, pick_call_keys(part))
        call.id = call.id or part.get("id") or ""
        call.name += function.get("name") or ""
        written: str = function.get("arguments") or ""
        call.arguments += written
        return written


def stop_reason(finish: str | None, calls: tuple[ToolCall, ...]) -> FinishReason:
    """Return why a reply ended. `finish` is the server's word for it; None means that the server did not say."""
    return "length" if finish == "length" else "tool_calls" if calls else "stop"
