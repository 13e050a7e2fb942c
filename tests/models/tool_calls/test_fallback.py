"""A server that can be offered no tools is told of them in the messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from codagent.errors import ModelError
from codagent.models.servers.litellm import LiteLLM
from codagent.models.servers.openai_api import OpenAIModel
from codagent.protocols import Model
from codagent.types import Message, Sampling, Tool
from tests.models.loopback import listening

BASH = Tool("bash", "Run.", {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]})
ASK = (Message("system", "Be brief."), Message("user", "list"))
CALL = 'I look.\n\n```json\n{"name": "bash", "arguments": {"command": "ls"}}\n```'
VLLM = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
WORDS = [
    (400, VLLM),
    (400, "registry.ollama.ai/library/gemma3:4b does not support tools"),
    (404, "No endpoints found that support tool use. To learn more about provider routing, visit the documentation."),
    (500, "tools param requires --jinja flag"),
    (400, "the model's chat template shows it no tools; describe them in the messages"),
    (400, "This model does not support function calling"),
]


@contextmanager
def toolless(status: int, words: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve a model that refuses tools, and calls one in text when it is told of it in the messages."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            refused = "tools" in asked[-1]
            chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            chunk["choices"] = [{"index": 0, "delta": {"role": "assistant", "content": CALL}, "finish_reason": "stop"}]  # type: ignore[assignment]
            self.send_response(status if refused else 200)
            self.send_header("content-type", "application/json" if refused else "text/event-stream")
            self.end_headers()
            told = json.dumps({"error": {"message": words}}) if refused else f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
            self.wfile.write(told.encode())

    with listening(Handler) as url:
        yield url, asked


def over_http(url: str) -> Model:
    return OpenAIModel(url, "m")


def over_litellm(url: str) -> Model:
    return LiteLLM("openai/m", url=url, api_key="none")


@pytest.mark.parametrize(("status", "words"), WORDS)
@pytest.mark.parametrize("open_model", [over_http, over_litellm])
def test_tools_that_are_refused_are_described_from_then_on(open_model: Callable[[str], Model], status: int, words: str) -> None:
    with toolless(status, words) as (url, asked):
        model = open_model(url)
        replies = [model.reply(ASK, (BASH,), Sampling()) for _ in range(2)]
    assert [[(call.name, json.loads(call.arguments)) for call in reply.message.tool_calls] for reply in replies] == [
        [("bash", {"command": "ls"})]
    ] * 2
    assert [reply.policy.split()[1] for reply in replies] == ["text", "text"]
    assert "tools" not in asked[-1]
    assert "tools" not in asked[-2]  # the second time without a refusal
    assert "bash" in json.dumps(asked[-1]["messages"])


@pytest.mark.parametrize("words", ["tools.0.parameters is no valid schema", "we do not support this model"])
def test_other_refusals_are_told(words: str) -> None:
    with toolless(400, words) as (url, asked), pytest.raises(ModelError) as raised:
        over_http(url).reply(ASK, (BASH,), Sampling())
    assert words in str(raised.value)
    assert all("tools" in one for one in asked)
