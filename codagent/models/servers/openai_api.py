"""An OpenAI-compatible server, used over plain HTTP, which starts fast and gives access to token ids and logprobs.

A reply has tokens if the server returns ids (vLLM's `return_token_ids`). Its logprobs are those of the model, before temperature.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from codagent.errors import ContextOverflow, RequestRefused
from codagent.models.http.background import Background
from codagent.models.http.events import END
from codagent.models.http.keys import clean_key
from codagent.models.http.patience import Patience
from codagent.models.http.refusal import find_refusal
from codagent.models.http.retry import Transient
from codagent.models.servers.chat_answer import ChatAnswer
from codagent.models.servers.refused_fields import RefusedFields, find_room
from codagent.models.servers.request_options import NO_OPTIONS, RequestOptions
from codagent.models.tool_calls.fallback import fall_back_to_text
from codagent.models.tool_calls.formats import decode, encode, find_shown_files
from codagent.models.tool_calls.thoughts import remove_thoughts
from codagent.protocols import OnText, ignore_text
from codagent.text import BYTES_PER_TOKEN
from codagent.types import Calling, FinishReason, Message, Reply, Sampling, Tool, ToolCall

if TYPE_CHECKING:
    from codagent.models.servers.server_facts import ServerConnection

Json = dict[str, Any]
_RESPONSES = "/v1/responses"  # a server that names it wants another kind of request
_USAGE: Json = {"stream_options": {"include_usage": True}}
_IDS: Json = {"logprobs": True, "top_logprobs": 0, "return_token_ids": True}  # only for servers that have them
_PROGRESS: Json = {"return_progress": True}  # the same


class OpenAIModel:
    """A Model over `/chat/completions`."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        calling: Calling = "native",
        api_key: str | None = None,
        options: RequestOptions = NO_OPTIONS,
        patience: Patience | None = None,
    ) -> None:
        """Use the server at `url`. `patience` None repeats failing requests for a short while.

        Raises UsageError when the key cannot be sent.
        """
        api_key = clean_key(api_key)

        def connect() -> ServerConnection:
            from codagent.models.servers.server_facts import ServerConnection

            return ServerConnection(url, model, api_key=api_key, headers=options.headers, ask=options.ask_server)

        self._url = url.rstrip("/")
        self._model, self._calling, self._patience, self._options = model, calling, patience or Patience(), options
        self._refused = RefusedFields()
        self._extras = [_IDS, _USAGE, _PROGRESS]  # the fields that this server has not refused
        self._gives_back = True  # whether this server takes back the reasoning that it sends
        self._connection = Background(connect)  # importing an HTTP client takes a third of a second

    @property
    def name(self) -> str:
        return f"{self._url}#{self._model}"

    @property
    def window(self) -> int | None:
        """How many tokens the server says that a prompt and its reply may have. None: it does not say, or it cannot be reached."""
        return self._connection.get().facts.window

    @fall_back_to_text
    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        if not self._gives_back:
            messages = _without_provider_data(messages)
        chat, functions, schema = encode(self._calling, messages, tools)
        if self._options.marks:
            chat = _mark(chat)
        body: Json = {"model": self._model, "messages": chat, "stream": True, **sampling_fields(sampling, "max_tokens")}
        if self._options.effort:
            body["reasoning_effort"] = self._options.effort
        if functions:
            body["tools"] = functions
        if schema:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}
        answer = self._ask(body, messages, tools, on_text)
        refusal = find_refusal(answer.finish, answer.refusal)
        text, calls = remove_thoughts(answer.content), answer.tool_calls(len(messages))
        if not calls:
            text, calls = decode(
                self._calling, answer.content, tools, files=find_shown_files(messages), turn=len(messages), cut=answer.finish == "length"
            )
        return Reply(
            message=Message("assistant", text, calls, provider_data=answer.provider_data()),
            stop="refused" if refusal else stop_reason(answer.finish, calls),
            prompt_tokens=answer.prompt_tokens or sum(len(str(message)) for message in chat) // BYTES_PER_TOKEN,
            completion_tokens=answer.completion_tokens or answer.size // BYTES_PER_TOKEN + 1,
            cost_usd=answer.cost_usd,
            tokens=answer.tokens(),
            sampling=self._refused.sampled(sampling),
            policy=f"{self._model} {self._calling}{self._options.describe()}",
            raw=answer.content,
            cached_tokens=min(answer.cached_tokens, answer.prompt_tokens),
            refusal=refusal,
        )

    def close(self) -> None:
        self._connection.get().close()

    def _ask(self, body: Json, messages: tuple[Message, ...], tools: tuple[Tool, ...], on_text: OnText) -> ChatAnswer:
        """Send a request and try again where that may help. A server that refuses its own reasoning is asked without it, from then on."""

        def ask_patiently() -> ChatAnswer:
            return self._patience.ask(self.name, lambda hear: self._try_once(body, hear), on_text)

        try:
            return ask_patiently()
        except RequestRefused:
            if not self._gives_back or not any(message.provider_data for message in messages):
                raise
            body["messages"] = encode(self._calling, _without_provider_data(messages), tools)[0]
            answer = ask_patiently()
            self._gives_back = False  # it took the same request without what it had sent itself
            return answer

    def _try_once(self, body: Json, on_text: OnText) -> ChatAnswer:
        """Send a request. What this server refuses of it is mended: a field is left out from then on, a reply becomes as long as may be."""
        while True:
            sent = self._refused.change(body) | self._find_extras()
            try:
                return self._send(sent, on_text)
            except ContextOverflow as error:
                room = find_room(str(error))
                if room is None or room >= body["max_tokens"]:
                    raise
                body = {**body, "max_tokens": room}
            except RequestRefused as error:
                if _RESPONSES in str(error):
                    raise RequestRefused(f"{error}; --model openai/{self._model} takes that way, with OPENAI_API_KEY") from error
                if not self._learn(str(error), sent):
                    raise

    def _send(self, sent: Json, on_text: OnText) -> ChatAnswer:
        """Send one request and collect its stream."""
        connection = self._connection.get()
        client, answer, whole = connection.client, ChatAnswer(), False
        on_text("")  # no further request is sent once nobody waits for it
        try:
            for event in client.stream("/chat/completions", sent):
                whole = whole or event is END
                on_text("" if event is END else answer.add(event))
        except (AttributeError, KeyError, TypeError) as error:
            raise Transient(f"{client.who} sent something that is not a chat completion") from error
        if answer.finish is None and not answer.size:
            raise Transient(f"{client.who} sent an empty answer")
        if answer.finish is None and not whole:
            raise Transient(f"{client.who} closed the connection in the middle of an answer; is the server running?")
        return answer

    def _find_extras(self) -> Json:
        """Return the optional fields that this server may have."""
        facts = self._connection.get().facts
        lacking = [extra for extra, has in ((_IDS, facts.returns_ids), (_PROGRESS, facts.tells_progress)) if not has]
        return {key: value for extra in self._extras if extra not in lacking for key, value in extra.items()}

    def _learn(self, refusal: str, sent: Json) -> bool:
        """Learn from the server's words about what was sent. Returns whether that changes the next request."""
        if self._refused.learn(refusal.partition("): ")[2], sent):
            return True
        extras = [extra for extra in self._extras if extra.keys() <= sent.keys()]
        if extras:
            self._extras.remove(next((extra for extra in extras if any(key in refusal for key in extra)), extras[0]))
        return bool(extras)


def _mark(chat: list[Json]) -> list[Json]:
    """Mark the system prompt and the last message: up to each mark, the server is to keep what it has read."""
    ends = {0, len(chat) - 1}
    return [_mark_message(message) if at in ends and message.get("content") else message for at, message in enumerate(chat)]


def _mark_message(message: Json) -> Json:
    return {**message, "content": [{"type": "text", "text": message["content"], "cache_control": {"type": "ephemeral"}}]}


def _without_provider_data(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    return tuple(replace(message, provider_data="") for message in messages)


def sampling_fields(sampling: Sampling, longest: Literal["max_tokens", "n_predict"]) -> Json:
    """Return the fields of a request that say how to sample. A value of None is left out, so that the server chooses."""
    chosen = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k, "seed": sampling.seed}
    return {longest: sampling.max_tokens} | {key: value for key, value in chosen.items() if value is not None}


def stop_reason(finish: str | None, calls: tuple[ToolCall, ...]) -> FinishReason:
    """Return why a reply ended. `finish` is the server's word for it; None means that the server did not say."""
    return "length" if finish == "length" else "tool_calls" if calls else "stop"
