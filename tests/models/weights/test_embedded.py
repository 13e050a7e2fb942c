"""llama.cpp in this process, with the smallest model of the catalogue and its real weights."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from codagent.errors import ContextOverflow, ModelError, UsageError
from codagent.models.http.client import HttpClient
from codagent.models.open import ModelOptions, open_model
from codagent.models.servers.llama_cpp import Llama
from codagent.models.servers.openai_api import OpenAIModel
from codagent.models.weights import embedded
from codagent.models.weights.catalog import find_entry
from codagent.models.weights.download import pull, weights_dir
from codagent.models.weights.embedded import Embedded, fingerprint
from codagent.protocols import PromptProgress
from codagent.types import Message, Profile, Sampling, Tool, ToolCall

BASH = Tool("bash", "Run.", {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]})
EXACT = Sampling(temperature=1.0, top_p=1.0, top_k=0, max_tokens=24, seed=7)
GREEDY = Sampling(temperature=0.0, max_tokens=24)
ASK = (Message("system", "Be brief."), Message("user", "What is 2+2? Answer only the number."))


@pytest.fixture(scope="module")
def weights() -> Path:
    entry = find_entry("smollm2-135m")
    assert entry is not None
    return pull(entry, weights_dir(None), progress=lambda what, done, total: None)


@pytest.fixture(scope="module")
def model(weights: Path) -> Iterator[Embedded]:
    model = Embedded("embedded:smollm2-135m", weights, profile=Profile(calling="text", context_tokens=1024))
    yield model
    model.close()


@pytest.fixture(scope="module")
def server(model: Embedded) -> str:
    model.reply((Message("user", "hi"),), (), GREEDY)
    address: str = model._server.listening_address
    return address


def test_a_reply_has_an_id_and_a_logprob_for_every_token_and_the_last_is_the_end(model: Embedded, server: str) -> None:
    heard: list[str] = []
    reply = model.reply(ASK, (), GREEDY, heard.append)
    assert reply.tokens is not None
    assert reply.stop == "stop"
    assert len(reply.tokens.completion_ids) == len(reply.tokens.logprobs) == reply.completion_tokens
    assert all(-30 < logprob <= 0 for logprob in reply.tokens.logprobs)
    assert "".join(piece for piece in heard if not isinstance(piece, PromptProgress)) == reply.raw == reply.message.content
    text = httpx.post(f"{server}/detokenize", json={"tokens": reply.tokens.completion_ids}).json()["content"]
    assert text == f"{reply.raw}<|im_end|>"


def test_the_prompt_ids_are_those_that_the_servers_chat_would_use(model: Embedded, server: str) -> None:
    reply = model.reply(ASK, (), GREEDY)
    assert reply.tokens is not None
    chat = httpx.post(f"{server}/v1/chat/completions", timeout=250, json={
        "messages": [{"role": message.role, "content": message.content} for message in ASK], "max_tokens": 1, "verbose": True,
    }).json()  # fmt: skip
    prompt = httpx.post(f"{server}/detokenize", json={"tokens": reply.tokens.prompt_ids}).json()["content"]
    assert prompt == chat["__verbose"]["prompt"]
    assert len(reply.tokens.prompt_ids) == reply.prompt_tokens == chat["usage"]["prompt_tokens"]


def test_recorded_sampling_is_all_the_sampling_there_is(model: Embedded, server: str) -> None:
    first, second = model.reply(ASK, (), EXACT), model.reply(ASK, (), EXACT)
    assert first.tokens is not None
    assert first.raw == second.raw
    assert first.stop in ("stop", "length")
    slot = httpx.get(f"{server}/slots").json()[0]["params"]
    assert (slot["top_k"], slot["top_p"], slot["min_p"], slot["repeat_penalty"], slot["seed"]) == (0, 1.0, 0.0, 1.0, 7)


@pytest.mark.parametrize("temperature", [0.7, 0.8, 0.9])
def test_logprobs_are_those_of_the_tempered_distribution(model: Embedded, server: str, temperature: float) -> None:
    """Worked out anew from the model's own log-probabilities of every token, divided by the temperature and normalised."""
    tokens = model.reply(ASK, (), Sampling(temperature=temperature, top_k=0, top_p=1.0, max_tokens=8, seed=5)).tokens
    assert tokens is not None
    ids = list(tokens.prompt_ids)
    for sampled, logprob in zip(tokens.completion_ids, tokens.logprobs, strict=True):
        body = {"prompt": ids, "n_predict": 1, "temperature": 1.0, "top_k": 0, "n_probs": 60_000}
        everything = httpx.post(f"{server}/completion", json=body, timeout=250).json()["completion_probabilities"][0]["top_logprobs"]
        tempered = {token["id"]: token["logprob"] / temperature for token in everything}
        expected = tempered[sampled] - math.log(sum(map(math.exp, tempered.values())))
        assert math.isclose(logprob, expected, abs_tol=0.02)  # a batch of another shape computes with other roundings
        ids.append(sampled)


def test_characters_of_several_tokens_leave_no_half_record(model: Embedded) -> None:
    reply = model.reply((Message("user", "Repeat: 🎉🎉🦜"),), (), Sampling(temperature=0.0, max_tokens=12))
    assert "🎉" in reply.raw
    assert reply.tokens is None


def test_a_reply_stops_at_its_longest(model: Embedded) -> None:
    reply = model.reply((Message("user", "Count to one hundred."),), (), Sampling(temperature=0.0, max_tokens=5))
    assert (reply.stop, reply.completion_tokens) == ("length", 5)


def test_a_reply_that_says_the_same_again_and_again_is_cut(model: Embedded) -> None:
    heard: list[str] = []
    reply = model.reply(
        (Message("user", "Write a poem of a hundred lines about the sea."),), (), replace(GREEDY, max_tokens=900), heard.append
    )
    assert reply.stop == "length"
    assert 100 < reply.completion_tokens < 600
    assert reply.tokens is not None
    assert len(reply.tokens.completion_ids) == len(reply.tokens.logprobs) == reply.completion_tokens
    assert "".join(text for text in heard if not isinstance(text, PromptProgress)) == reply.message.content
    assert model.reply(ASK, (), GREEDY).stop == "stop"  # the server is free again


def test_prompts_that_were_read_do_not_fill_the_memory(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """llama.cpp keeps what it has read, 23 kB for a token of this model, to read it no second time."""
    monkeypatch.setattr(embedded, "KEPT_MB", 8)
    model, found = Embedded("embedded:smollm2-135m", weights, profile=Profile(calling="text", context_tokens=1024)), []
    with closing(model):
        for number in range(7):
            model.reply((Message("user", f"{number} two three " * 130),), (), Sampling(temperature=0.0, max_tokens=1))
            found.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
    assert found[-1] - found[1] < 20  # and five prompts of 400 tokens are 46 MB


def test_a_page_in_a_browser_cannot_use_it(server: str) -> None:
    asked = httpx.options(f"{server}/completion", headers={"Origin": "https://page.example", "Access-Control-Request-Method": "POST"})
    assert asked.headers["access-control-allow-origin"] == ""


def test_a_prompt_beyond_the_context_is_an_overflow(model: Embedded) -> None:
    with pytest.raises(ContextOverflow):
        model.reply((Message("user", "word " * 2000),), (), GREEDY)


def test_a_schema_makes_even_the_smallest_model_call(server: str) -> None:
    model = Llama(HttpClient(server, local=True), "x", weights="smollm2", calling="constrained")
    before = (Message("assistant", "I look.", (ToolCall("1", "bash", '{"command": "ls"}'),)), Message("tool", "a.py", tool_call_id="1"))
    reply = model.reply((Message("user", "List the files."), *before), (BASH,), Sampling(temperature=0.0, max_tokens=80))
    (call,) = reply.message.tool_calls
    assert call.name == "bash"
    assert isinstance(json.loads(call.arguments)["command"], str)
    assert (reply.stop, reply.policy) == ("tool_calls", "smollm2 constrained")


def test_a_llama_server_elsewhere_is_spoken_to_in_its_own_way(server: str) -> None:
    model = open_model(f"{server}/v1", profile=Profile(calling="text"))
    assert model.reply(ASK, (), GREEDY).tokens is not None
    native = open_model(f"{server}/v1")
    assert isinstance(native, OpenAIModel)
    reply = native.reply(ASK, (BASH,), GREEDY)
    assert reply.tokens is None
    assert reply.prompt_tokens > 0


def test_a_reply_names_its_weights_by_what_is_in_their_file(model: Embedded, weights: Path) -> None:
    reply = model.reply(ASK, (), Sampling(temperature=0.0, max_tokens=1))
    assert reply.policy == f"{weights.stem}#{fingerprint(weights)} text"


def test_files_that_differ_in_a_tensor_or_in_size_have_other_fingerprints(tmp_path: Path) -> None:
    file = tmp_path / "large.gguf"
    file.touch()
    os.truncate(file, 100 << 20)
    empty = fingerprint(file)
    with file.open("r+b") as opened:
        opened.seek(60 << 20)
        opened.write(b"x" * (2 << 20))
    changed = fingerprint(file)
    os.truncate(file, (100 << 20) + 1)
    assert len({empty, changed, fingerprint(file)}) == 3
    assert len(changed) == 16


def test_a_file_that_is_no_model_is_a_model_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelError, match=r"cannot load broken\.gguf"):
        Embedded("gguf:broken", broken, profile=Profile()).reply(ASK, (), GREEDY)


def test_missing_weights_say_how_to_fetch_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="codagent models pull smollm2-135m"):
        open_model("embedded:smollm2-135m", options=ModelOptions(weights=tmp_path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no model file .*none\.gguf"):
        open_model(f"gguf:{tmp_path}/none.gguf")
