"""A request that is refused for one of its fields is mended once, and the server remembered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from codagent.errors import ModelError
from codagent.models.servers.openai_api import OpenAIModel
from codagent.models.servers.refused_fields import find_room
from codagent.types import Message, Sampling
from tests.models.loopback import listening

ASK = (Message("user", "x"),)
DONE = b'data: {"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
Refuse = Callable[[dict[str, Any]], str | None]


@contextmanager
def strict(refuse: Refuse, status: int = 400) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            problem = refuse(asked[-1])
            self.send_response(status if problem else 200)
            self.end_headers()
            self.wfile.write(problem.encode() if problem else DONE)

    with listening(Handler) as url:
        yield url, asked


def told(message: str, param: str | None = None) -> str:
    return json.dumps({"error": {"message": message, "param": param, "type": "invalid_request_error"}})


@pytest.mark.parametrize(
    ("refuse", "sent"),
    [
        (
            lambda body: told("Unsupported: 'max_tokens'. Use 'max_completion_tokens'.") if "max_tokens" in body else None,
            {"max_completion_tokens": 4096, "temperature": 0.5},
        ),
        (lambda body: told("Unsupported value.", "temperature") if "temperature" in body else None, {"max_tokens": 4096}),
        (
            lambda body: told("max_tokens is too large: 4096. It supports at most 1,024 tokens") if body["max_tokens"] > 1024 else None,
            {"max_tokens": 1024, "temperature": 0.5},
        ),
        (
            lambda body: next(
                (
                    told(f"{key} is unsupported")
                    for key in ("max_tokens", "temperature", "seed", "logprobs", "stream_options")
                    if key in body
                ),
                None,
            ),
            {"max_completion_tokens": 4096},
        ),
        (
            lambda body: json.dumps({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs"}]}) if "seed" in body else None,
            {"max_tokens": 4096, "temperature": 0.5, "seed": None},
        ),
    ],
)
def test_a_field_that_is_refused_by_name_is_mended_and_remembered(refuse: Refuse, sent: dict[str, Any]) -> None:
    with strict(refuse) as (url, asked):
        model = OpenAIModel(url, "m")
        replies = [model.reply(ASK, (), Sampling(temperature=0.5, seed=1)) for _ in range(2)]
    expected = {"max_tokens": None, "max_completion_tokens": None, "temperature": None} | sent
    assert {key: asked[-1].get(key) for key in expected} == expected
    assert asked[-2] == asked[-1]  # the second request needed no mending
    assert [reply.raw for reply in replies] == ["ok", "ok"]
    assert replies[1].sampling.temperature == sent.get("temperature")


def test_a_field_that_stays_refused_is_told_in_a_sentence() -> None:
    with (
        strict(lambda _: told("max_tokens and max_completion_tokens are refused")) as (url, asked),
        pytest.raises(ModelError) as raised,
    ):
        OpenAIModel(url, "m").reply(ASK, (), Sampling())
    assert "max_completion_tokens are refused" in str(raised.value)
    assert len(asked) <= 4


_WINDOW = "This model's maximum context length is 8192 tokens"


@pytest.mark.parametrize(
    ("refusal", "room"),
    [
        (f"{_WINDOW}. However, you requested 9096 tokens (5000 in the messages, 4096 in the completion).", 3192),
        (f"'max_tokens' is too large: 4096. {_WINDOW} and your request has 5596 input tokens (4096 > 8192 - 5596).", 2596),
        (f"{_WINDOW} and your request has 8000 input tokens", None),
        (f"{_WINDOW}. However, your messages resulted in 9000 tokens.", None),
        ("prompt is too long", None),
    ],
)
def test_the_room_for_a_reply_is_read_from_a_refusal(refusal, room):
    assert find_room(refusal) == room
