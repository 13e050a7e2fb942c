"""The native API of a llama.cpp server, which gives records that are exact to the token.

The server's template renders the prompt, the server tokenizes it once, and the request sends the ids. The answer streams with the id
and the logprob of every token. The server's `/chat/completions` omits these for the last token, and for all tokens when tools are sent.

Logprobs belong to the distribution that was sampled from, after temperature and cuts. A character that takes several tokens (an emoji)
loses some ids; the reply then has no tokens at all.
"""

from __future__ import annotations

import math
from typing import Any

from codagent.models.http.client import HttpClient
from codagent.models.http.events import END
from codagent.models.http.patience import Patience
from codagent.models.http.retry import Transient
from codagent.models.servers.chat_answer import read_progress
from codagent.models.servers.openai_api import sampling_fields, stop_reason
from codagent.models.tool_calls.formats import decode, encode, find_shown_files
from codagent.protocols import OnText, ignore_text
from codagent.types import Calling, Message, Reply, Sampling, Tokens, Tool

Json = dict[str, Any]
_Answer = tuple[str, list[int], list[float], Json]  # text, ids, logprobs, last event
_ROUND = 1_000  # characters: a text whose last so many are one piece at least four times goes round in circles
_NEUTRAL = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "repeat_penalty": 1.0}
# For the probability of one token llama.cpp sorts all of the vocabulary, a third of the time of a small model. So a cool sampling asks for
# the likeliest ones only. What that leaves out had a share of 3e-5 at most (3e-7 in the mean) in 2,350 tokens of the smallest coder at 0.8,
# which is as exact as the numbers that the server sends.
_COOL, _LIKELIEST = 0.8, 16_384


class Llama:
    """A Model over llama.cpp's `/completion`."""

    def __init__(
        self,
        client: HttpClient,
        name: str,
        *,
        weights: str,
        calling: Calling = "text",
        patience: Patience | None = None,
        ends_rounds: bool = False,
    ) -> None:
        """Use the server that `client` is connected to. `weights` names its weights in the policy of each reply.

        `patience` None repeats failing requests for a short while. `ends_rounds`: a reply that says the same again and again is cut, as
        at its longest; small models do not stop by themselves.
        """
        self._client, self._name, self._weights = client, name, weights
        self._calling, self._patience = calling, patience or Patience()
        self._ends_rounds = ends_rounds

    @property
    def name(self) -> str:
        return self._name

    def reply(self, messages: tuple[Message, ...], tools: tuple[Tool, ...], sampling: Sampling, on_text: OnText = ignore_text) -> Reply:
        chat, functions, schema = encode(self._calling, messages, tools)

        def try_once(hear: OnText) -> tuple[list[int], _Answer]:
            hear("")  # no further request is sent once nobody waits for it
            prompt_ids, body = self._request(chat, functions, schema, sampling)
            return prompt_ids, self._read_answer(body, hear)

        prompt_ids, (raw, ids, logprobs, last) = self._patience.ask(self._name, try_once, on_text)
        cut = last.get("stop_type") == "limit"
        text, calls = decode(self._calling, raw, tools, files=find_shown_files(messages), turn=len(messages), cut=cut)
        exact = len(ids) == len(logprobs) == last["tokens_predicted"]
        return Reply(
            message=Message("assistant", text, calls),
            stop=stop_reason("length" if cut else None, calls),
            prompt_tokens=len(prompt_ids),
            completion_tokens=last["tokens_predicted"],
            cost_usd=0.0,
            tokens=Tokens(tuple(prompt_ids), tuple(ids), tuple(logprobs)) if exact else None,
            sampling=sampling,
            policy=f"{self._weights} {self._calling}",
            raw=raw,
        )

    def close(self) -> None:
        self._client.close()

    def _request(self, chat: list[Json], functions: list[Json] | None, schema: Json | None, sampling: Sampling) -> tuple[list[int], Json]:
        """Render and tokenize a chat. Returns the prompt's ids, and the body of the request for its completion.

        Raises Transient when the server does not answer like llama.cpp.
        """
        try:
            rendered = self._client.get_json("/apply-template", {"messages": chat} | ({"tools": functions} if functions else {}))["prompt"]
            prompt_ids = self._client.get_json("/tokenize", {"content": rendered, "add_special": True, "parse_special": True})["tokens"]
            body = {
                "prompt": prompt_ids,
                "stream": True,
                "n_probs": 1,
                "post_sampling_probs": True,
                "return_tokens": True,
                "return_progress": True,
                "cache_prompt": True,
            }
            if sampling.top_p is not None or sampling.top_k is not None:
                body |= _NEUTRAL  # otherwise llama.cpp would add defaults of its own that no record shows
            body |= sampling_fields(sampling, "n_predict") | ({"json_schema": schema} if schema else {})
            if body.get("top_k") == 0 and body.get("temperature", 1.0) <= _COOL:
                body["top_k"] = _LIKELIEST
            return prompt_ids, body
        except (KeyError, TypeError, AttributeError) as error:
            raise Transient(f"{self._client.who} does not answer like llama.cpp's server") from error

    def _read_answer(self, body: Json, on_text: OnText) -> _Answer:
        """Read a streamed answer. Returns its text, its token ids, its logprobs and the last event."""
        pieces: list[str] = []
        end = ""  # of the text, as far as is needed to see whether it goes round
        ids: list[int] = []
        logprobs: list[float] = []
        for event in self._client.stream("/completion", body):
            if event is END:
                break
            if reading := read_progress(event):
                on_text(reading)
                continue
            pieces.append(event["content"])
            on_text(event["content"])
            ids += event.get("tokens") or []
            logprobs += [math.log(token["prob"]) for token in event.get("completion_probabilities") or []]
            if event["stop"]:
                return "".join(pieces), ids, logprobs, event
            end = (end + event["content"])[-_ROUND:]
            if self._ends_rounds and _goes_round(end):
                return "".join(pieces), ids, logprobs, {"stop_type": "limit", "tokens_predicted": len(ids)}
        raise Transient(f"{self._client.who} closed the connection in the middle of an answer; is the server running?")


def _goes_round(end: str) -> bool:
    return len(end) == _ROUND and any(end.startswith(end[period:]) for period in range(1, _ROUND // 4 + 1))
