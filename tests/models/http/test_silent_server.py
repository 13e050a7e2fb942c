"""Whoever waits for a server can give up, whatever the server does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from codagent.errors import LimitReached, NotServed
from codagent.models.http.patience import Patience
from codagent.models.http.retry import error_for_status
from codagent.models.open import ModelOptions, open_model
from codagent.models.servers.litellm import LiteLLM
from codagent.models.servers.openai_api import OpenAIModel
from codagent.protocols import Model
from codagent.types import Message, Sampling
from tests.models.loopback import listening
from tests.pace import Pace

Play = Callable[[BaseHTTPRequestHandler], None]


def repeat(data: bytes, *, every: float = 0.05, first: bytes = b"") -> Play:
    """Send `data` again and again in an event stream."""

    def play(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        handler.wfile.write(first)
        for _ in range(int(60 / every)):
            handler.wfile.write(data)
            handler.wfile.flush()
            time.sleep(every)

    return play


def refuse(status: int, **headers: str) -> Play:
    def play(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return play


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(300):
        handler.wfile.write(f"x-{number}: 1\r\n".encode())
        time.sleep(0.2)


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(60)


def playing(play: Play) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            try:
                play(self)
            except OSError:
                self.close_connection = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.do_GET()

    return Handler


def give_up_after(model: Model, seconds: float) -> float:
    """Ask, give up after so many seconds, and return how many it took."""
    began = time.monotonic()

    def hear(_: str) -> None:
        if time.monotonic() - began > seconds:
            raise LimitReached("seconds", "too late")

    with pytest.raises(LimitReached):
        model.reply((Message("user", "x"),), (), Sampling(), hear)
    return time.monotonic() - began


@pytest.mark.parametrize(
    "play",
    [
        silent,
        drip_headers,
        repeat(b": waiting\n\n"),
        repeat(b"\n"),
        repeat(b"x", first=b"data: "),
        repeat(b" ", every=0.5),
        repeat(b'data: {"choices": []}\n\n'),
        repeat(b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n'),
        repeat(b"data: {broken\n"),
        refuse(500),
        refuse(429, retry_after="20"),
        refuse(503, retry_after="nan"),
        refuse(429, retry_after="inf"),
        refuse(429, retry_after="1e999"),
        refuse(429, retry_after="Fri, 31 Dec 9999 23:59:59 GMT"),
    ],
)
def test_a_wait_for_an_endpoint_ends_when_it_shall(play: Play) -> None:
    with listening(playing(play)) as url, Pace() as pace:
        took = give_up_after(OpenAIModel(url, "m", patience=Patience(90)), 0.6)
    assert took < 2 + pace.slack


@pytest.mark.parametrize("play", [silent, refuse(429, retry_after="20")])
def test_a_wait_for_a_provider_ends_when_it_shall(play: Play) -> None:
    with listening(playing(play)) as url, Pace() as pace:
        took = give_up_after(LiteLLM("openai/gpt-4o-mini", url=url, api_key="k", patience=Patience(90)), 0.6)
    assert took < 2 + pace.slack


@pytest.mark.parametrize("play", [silent, refuse(503)])
def test_a_server_that_does_not_list_its_models_is_not_waited_for(play: Play) -> None:
    began = time.monotonic()
    with Pace() as pace, listening(playing(play)) as url, pytest.raises(LimitReached, match="#NAME"):
        open_model(url, options=ModelOptions(seconds=0.5))
    assert time.monotonic() - began < 2 + pace.slack


def test_no_request_follows_once_nobody_waits() -> None:
    asked: list[float] = []

    def play(handler: BaseHTTPRequestHandler) -> None:
        asked.append(time.monotonic())
        refuse(503, retry_after="1")(handler)

    def give_up_once_asked(_: str) -> None:
        if asked:
            raise LimitReached("seconds", "too late")

    with listening(playing(play)) as url:
        model = OpenAIModel(url, "m", patience=Patience(30))
        with pytest.raises(LimitReached):
            model.reply((Message("user", "x"),), (), Sampling(), give_up_once_asked)
        known = len(asked)
        time.sleep(1.5)
        assert len(asked) == known


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_refuses_the_key_or_the_name_has_done_no_work(status: int) -> None:
    assert isinstance(error_for_status(status, "no", {}, "it"), NotServed)


@pytest.mark.parametrize(("value", "wait"), [("nan", None), ("-3", 0.0), ("inf", float("inf")), ("soon", None), ("", None), ("1.5", 1.5)])
def test_a_wait_that_a_server_asks_for_is_a_number_or_none(value: str, wait: float | None) -> None:
    error = error_for_status(429, json.dumps({}), {"retry-after": value}, "it")
    assert getattr(error, "wait_s", "no wait") == wait
