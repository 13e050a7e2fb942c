"""The engine that samples from a running vLLM server, which loads the adapter of each step under a name of its own.

Prompts are sent as token ids; ids and logprobs come back. Requests and answers follow vLLM's `entrypoints/openai/completion/protocol.py`
and `entrypoints/serve/lora`. The server must have version 0.10.2 or later, for `return_token_ids`, and must be started like this

    VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 vllm serve MODEL --enable-lora --max-lora-rank RANK --max-model-len TOKENS

on a machine that can read the folder of the run. The server returns logprobs before temperature (`--logprobs-mode raw_logprobs`, its
default). They are those of the sampled distribution only at temperature 1, so a recipe with this engine must have that temperature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from codagent.errors import ModelError, RequestRefused
from codagent.models.http.client import HttpClient
from codagent.models.http.retry import PATIENCE_S, Transient, retry
from codagent.types import Sampling, Tokens
from codagent_train.policy.tokenizer import Ids

AT_ONCE = 100  # requests at a time; httpx keeps so many connections
# sample from the whole distribution; a field that a request leaves out is taken from the model's generation_config.json
_WHOLE = {
    "top_p": 1.0,
    "top_k": -1,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "skip_special_tokens": False,
    "logprobs": 0,  # that of the sampled token only
    "return_token_ids": True,
}
_HOW_TO_START = "start it with `vllm serve --enable-lora` and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1, where it can read the folder"


class VllmEngine:
    """An Engine that asks vLLM servers. Each prompt is a request with its own seed; many requests are sent at a time.

    A request goes to the server that has the fewest under way. Its methods raise ModelError when a server does not answer for `patience_s`
    seconds, or when an answer lacks what training needs.
    """

    def __init__(self, *urls: str, ends: frozenset[int], model: str = "", patience_s: float = PATIENCE_S) -> None:
        """Each of `urls` ends in /v1. `model` is the name of the adapter to sample from; "": `publish` sets it."""
        self.ends, self.model = ends, model
        self._wires, self._patience_s = [HttpClient(url) for url in urls], patience_s
        self._under_way = [0] * len(urls)
        self._lock = Lock()

    def publish(self, folder: Path, name: str) -> None:
        """Let the servers load the adapter in `folder` as `name` and forget the one before. Later replies are sampled from it.

        A name must never be used for two adapters: the server reuses what it computed with the first (vLLM issue 42125).
        """
        for wire in self._wires:
            if self.model:
                # before the load, when the server still holds it; a server that was started again has forgotten it, which is no error
                with suppress(ModelError, Transient):
                    wire.post("/unload_lora_adapter", {"lora_name": self.model})
            retry(partial(_load, wire, folder, name), self._patience_s)
        self.model = name

    def generate(self, prompts: Sequence[Ids], samplings: Sequence[Sampling]) -> list[Tokens]:
        """Sample a completion for each prompt."""
        with ThreadPoolExecutor(min(len(prompts), AT_ONCE * len(self._wires))) as pool:
            return list(pool.map(self._reply, prompts, samplings))

    def _reply(self, prompt: Ids, sampling: Sampling) -> Tokens:
        request = {
            "model": self.model,
            "prompt": list(prompt),
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "seed": sampling.seed,
            "stop_token_ids": sorted(self.ends),
        }
        with self._least_busy() as wire:
            answer = retry(lambda: wire.get_json("/completions", request | _WHOLE), self._patience_s)
        try:
            return self._tokens(wire, prompt, sampling, answer)
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise ModelError(f"{wire.who} sent something that is not a completion; is it a vLLM server?") from error

    @contextmanager
    def _least_busy(self) -> Iterator[HttpClient]:
        """Hold a place at the server that has the fewest requests under way."""
        with self._lock:
            number = self._under_way.index(min(self._under_way))
            self._under_way[number] += 1
        try:
            yield self._wires[number]
        finally:
            with self._lock:
                self._under_way[number] -= 1

    def _tokens(self, wire: HttpClient, prompt: Ids, sampling: Sampling, answer: dict[str, Any]) -> Tokens:
        choice = answer["choices"][0]
        ids, read, logprobs = choice.get("token_ids"), choice.get("prompt_token_ids"), choice["logprobs"]["token_logprobs"]
        if answer["model"] != self.model:
            raise _bad_answer(wire, f"answered with the model {answer['model']}, not {self.model}; ask it directly, without a router")
        if not ids or read is None:
            raise _bad_answer(wire, "gives no token ids; take vLLM 0.10.2 or later")
        if tuple(read) != prompt:
            raise _bad_answer(
                wire, f"read {len(read)} tokens, not the {len(prompt)} that it was sent; take a server that does not shorten prompts"
            )
        if len(logprobs) != len(ids) or None in logprobs:
            known = sum(logprob is not None for logprob in logprobs)
            raise _bad_answer(wire, f"gave the logprobs of {known} of {len(ids)} tokens; take vLLM 0.10.2 or later")
        if ids[-1] not in self.ends and len(ids) != sampling.max_tokens:
            raise _bad_answer(
                wire,
                f"ended a reply after {len(ids)} of {sampling.max_tokens} tokens with the id {ids[-1]}, which ends none;"
                " start it with --generation-config vllm",
            )
        return Tokens(prompt, tuple(ids), tuple(logprobs))


def _load(wire: HttpClient, folder: Path, name: str) -> None:
    try:
        wire.post("/load_lora_adapter", {"lora_name": name, "lora_path": str(folder.resolve())})
    except ModelError as error:
        if not (isinstance(error, RequestRefused) and "already been loaded" in str(error)):
            raise ModelError(f"{error}; {_HOW_TO_START}") from error


def _bad_answer(wire: HttpClient, why: str) -> ModelError:
    return ModelError(f"{wire.who} {why}")
