"""What servers tell of themselves, and the window that Ollama is asked to open."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from codagent.models.servers.litellm import LiteLLM
from codagent.models.servers.openai_api import OpenAIModel
from codagent.models.servers.server_facts import ServerConnection, ServerFacts, choose_ollama_window, find_ollama_window
from codagent.types import Message, Sampling
from tests.models.loopback import Answer, listening
from tests.models.loopback import serve as serve_answers
from tests.models.providers.double import serve, steps
from tests.models.providers.ollama import Ollama


@pytest.mark.parametrize(
    ("letters", "reply", "longest", "window"),
    [
        (10, 100, 100_000, 8_192),
        (20_000, 4096, 100_000, 16_384),
        (60_000, 4096, 100_000, 32_768),
        (900_000, 4096, 100_000, 100_000),
        (10, 100, 2048, 2048),
    ],
)
def test_the_window_doubles_as_the_prompt_grows(letters: int, reply: int, longest: int, window: int) -> None:
    assert choose_ollama_window([{"role": "user", "content": "x" * letters}], reply, longest) == window


def test_the_longest_window_is_the_models() -> None:
    with serve(Ollama(steps(3))) as url:
        assert find_ollama_window(url, "qwen3") == 262_144
    assert find_ollama_window("http://127.0.0.1:9", "qwen3") == 32_768


def test_a_request_names_its_window() -> None:
    double = Ollama(steps(3))
    with serve(double) as url:
        model = LiteLLM("ollama_chat/qwen3", url=url)
        model.reply((Message("user", "x" * 30_000),), (), Sampling())
    assert [body["options"]["num_ctx"] for body in double.bodies if "messages" in body] == [16_384]


@contextmanager
def telling(answers: Mapping[str, Any], port: int = 0) -> Iterator[str]:
    """The URL of a server that gives these answers, by path, to GET requests."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            body = json.dumps(answers.get(self.path)).encode()
            self.send_response(200 if self.path in answers else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with listening(Handler, port) as url:
        yield url


def listing(*models: Mapping[str, Any]) -> dict[str, Any]:
    return {"/v1/models": {"object": "list", "data": list(models)}}


def loaded(model: Mapping[str, Any]) -> dict[str, Any]:
    return {"/api/v0/models": {"data": [model]}}


VLLM = listing({"id": "base", "owned_by": "vllm", "max_model_len": 32_768}, {"id": "m", "owned_by": "vllm", "max_model_len": 40_960})
LLAMA_CPP = listing({"id": "x.gguf", "owned_by": "llamacpp", "meta": {"n_ctx_train": 131_072}})
LM_STUDIO = listing({"id": "m", "owned_by": "organization_owner"})


@pytest.mark.parametrize(
    ("answers", "facts"),
    [
        (VLLM, ServerFacts(40_960, returns_ids=True)),
        (LLAMA_CPP | {"/props": {"default_generation_settings": {"n_ctx": 8192}}}, ServerFacts(8192, tells_progress=True)),
        (LLAMA_CPP | {"/props": {"default_generation_settings": None}}, ServerFacts(tells_progress=True)),
        (LLAMA_CPP, ServerFacts()),
        (
            LM_STUDIO | {"/api/v0/models": {"data": [{"id": "m", "max_context_length": 131_072, "loaded_context_length": 4096}]}},
            ServerFacts(4096),
        ),
        (LM_STUDIO | {"/api/v0/models": {"data": [{"id": "m", "max_context_length": 131_072}]}}, ServerFacts(131_072)),
        (LM_STUDIO | {"/api/v0/models": {"data": "none"}}, ServerFacts()),
        (listing({"id": "m", "owned_by": "codagent"}), ServerFacts(None, returns_ids=True)),
        (listing({"id": "m", "owned_by": "openai"}), ServerFacts()),
        (listing({"id": "m", "owned_by": ["vllm"]}), ServerFacts()),
        (listing({"id": "m", "owned_by": "vllm", "max_model_len": "long"}), ServerFacts(None, returns_ids=True)),
        (listing(), ServerFacts()),
        ({"/v1/models": ["m"]}, ServerFacts()),
        ({}, ServerFacts()),
    ],
)
def test_a_server_tells_of_its_model(answers: Mapping[str, Any], facts: ServerFacts) -> None:
    with telling(answers) as url:
        assert ServerConnection(url, "m", api_key=None, headers={}).facts == facts


def test_a_server_that_comes_up_later_is_asked_then() -> None:
    with socket.socket() as reserved:  # nobody listens yet, and nobody else takes the port
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        connection = ServerConnection(f"http://127.0.0.1:{port}/v1", "m", api_key=None, headers={})
        assert connection.facts == ServerFacts()
        with telling(VLLM, port=port):
            assert connection.facts == ServerFacts(40_960, returns_ids=True)


@pytest.mark.parametrize(("owner", "asked"), [("vllm", True), ("codagent", True), ("openai", False), (None, False)])
def test_ids_are_asked_only_of_servers_that_have_them(owner: str | None, asked: bool) -> None:
    with serve_answers(Answer("a"), owner=owner) as server:
        OpenAIModel(server.url, "m").reply((Message("user", "q"),), (), Sampling())
    assert {key: key in server.requests[0] for key in ("logprobs", "return_token_ids")} == {"logprobs": asked, "return_token_ids": asked}


@pytest.mark.parametrize(("owner", "asked"), [("llamacpp", True), ("vllm", False), (None, False)])
def test_how_much_of_the_prompt_is_read_is_asked_only_of_servers_that_tell_it(owner: str | None, asked: bool) -> None:
    with serve_answers(Answer("a"), owner=owner) as server:
        OpenAIModel(server.url, "m").reply((Message("user", "q"),), (), Sampling())
    assert ("return_progress" in server.requests[0]) == asked
