"""A llama.cpp server in its own words, for records that are exact to the token.

The prompt is rendered by the server's template, made ids once, and sent as ids; the answer streams with the id and logprob of every
token, the last one included. Over `/chat/completions` llama.cpp drops that one, and gives none at all with tools.
Logprobs are those of the distribution that was sampled from, after temperature and cuts.
A character that takes several tokens (an emoji) loses ids: then there are none.
"""

from __future__ import annotations

import math
from typing import Any

from codagent.models.http.client import Wire
from codagent.models.http.retry import PATIENCE_S, Transient, patiently
from codagent.models.openai_api import sampled, stop_of
from codagent.models.tool_calls.formats import decode, encode, shown_files
from codagent.types import Calling, Message, OnText, Reply, Sampling, Tokens, Tool, ignore_text

Json = dict[str, Any]
_Written = tuple[str, list[int], list[float], Json]  # text, ids, logprobs, last event
_NEUTRAL = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "repeat_penalty": 1.0}


class Llama:
    """A Model over `/completion`. `weights` names what is behind it, in `policy`."""

    def __init__(
        self,
        wire: Wire,
        name: str,
        *,
        weights: str,
        calling: Calling = "text",
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._wire, self._name, self._weights = wire, name, weights
        self._calling, self._patience_s = calling, patience_s

    @property
    def name(self) -> str:
        return self._name

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        chat, functions, schema = encode(self._calling, messages, tools)

        def once() -> tuple[list[int], _Written]:
            prompt_ids, body = self._request(chat, functions, schema, sampling)
            return prompt_ids, self._listen(body, on_text)

        prompt_ids, (raw, ids, logprobs, last) = patiently(once, self._patience_s)
        cut = last.get("stop_type") == "limit"
        text, calls = decode(self._calling, raw, tools, files=shown_files(messages), turn=len(messages), cut=cut)
        exact = len(ids) == len(logprobs) == last["tokens_predicted"]
        return Reply(
            message=Message("assistant", text, calls),
            stop=stop_of("length" if cut else None, calls),
            prompt_tokens=len(prompt_ids),
            completion_tokens=last["tokens_predicted"],
            cost_usd=0.0,
            tokens=Tokens(tuple(prompt_ids), tuple(ids), tuple(logprobs)) if exact else None,
            sampling=sampling,
            policy=f"{self._weights} {self._calling}",
            raw=raw,
        )

    def close(self) -> None:
        self._wire.close()

    def _request(self, chat: list[Json], functions: list[Json] | None, schema: Json | None, sampling: Sampling) -> tuple[list[int], Json]:
        """The ids of the prompt, and the body of a request for its completion."""
        try:
            rendered = self._wire.ask("/apply-template", {"messages": chat} | ({"tools": functions} if functions else {}))["prompt"]
            prompt_ids = self._wire.ask("/tokenize", {"content": rendered, "add_special": True, "parse_special": True})["tokens"]
            body = {
                "prompt": prompt_ids,
                "stream": True,
                "n_probs": 1,
                "post_sampling_probs": True,
                "return_tokens": True,
                "cache_prompt": True,
            }
            if sampling.top_p is not None or sampling.top_k is not None:
                body |= _NEUTRAL  # llama.cpp's own choices must not join the ones that are recorded
            body |= sampled(sampling, "n_predict") | ({"json_schema": schema} if schema else {})
            return prompt_ids, body
        except (KeyError, TypeError, AttributeError) as error:
            raise Transient(f"{self._wire.who} does not answer like llama.cpp's server") from error

    def _listen(self, body: Json, on_text: OnText) -> _Written:
        pieces: list[str] = []
        ids: list[int] = []
        logprobs: list[float] = []
        for event in self._wire.stream("/completion", body):
            pieces.append(event["content"])
            on_text(event["content"])
            ids += event.get("tokens") or []
            logprobs += [math.log(token["prob"]) for token in event.get("completion_probabilities") or []]
            if event["stop"]:
                return "".join(pieces), ids, logprobs, event
        raise Transient(f"{self._wire.who} broke off in the middle of an answer; is the server running?")
