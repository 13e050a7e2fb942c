"""Streams as servers and relays send them: under other names, broken off, with an error in them."""

from __future__ import annotations

import json
import random
import re
import time

import pytest

from codagent.errors import ContextOverflow, ModelError
from codagent.models.http.events import END, read_objects
from codagent.models.http.patience import Patience
from codagent.models.servers.chat_answer import ChatAnswer
from codagent.models.servers.openai_api import OpenAIModel
from codagent.types import Message, Sampling
from tests.models.loopback import Answer, Plain, serve

ASK = (Message("user", "x"),)
TEXT = 'data: {"choices": [{"delta": {"content": "ok"}}]}\n\n'
STOP = 'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
DONE = "data: [DONE]\n\n"


def ask(*answers: Plain | Answer) -> str:
    with serve(*answers) as server:
        return OpenAIModel(server.url, "m", patience=Patience(0.2)).reply(ASK, (), Sampling()).raw


@pytest.mark.parametrize("kind", ["text/event-stream", "text/plain; charset=utf-8", "application/json", "application/octet-stream", ""])
@pytest.mark.parametrize(
    "body",
    [
        TEXT + STOP + DONE,
        f": waiting\n\n{TEXT}: still\n{STOP}",
        f"\n\nevent: message\nid: 3\n{TEXT}{STOP}{DONE}",
        (TEXT + STOP + DONE).replace("\n", "\r\n"),
        (TEXT + STOP + DONE).replace("\n\n", "\n"),
        (TEXT + STOP).rstrip(),
        TEXT.replace(", ", ",\ndata: ").replace(': "ok"', ':\ndata: "ok"') + STOP,
        "\ufeff" + TEXT + DONE,
        json.dumps({"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}, indent=2),
        json.dumps({"choices": [{"message": {"content": "ok"}}]}),
        TEXT + 'data: {"choices": [{"delta": {}, "message": {"content": "ok"}, "finish_reason": "stop"}]}\n\n',
        f'data: {{"choices": []}}\n\ndata: {{"choices": null, "usage": null}}\n\n{TEXT}{STOP}',
    ],
)
def test_a_stream_is_one_whatever_it_is_called(kind: str, body: str) -> None:
    assert ask(Plain(body, kind=kind)) == "ok"


@pytest.mark.parametrize("broken", [TEXT, TEXT + STOP[:40], TEXT[:-1], TEXT + ": waiting\n\n"])
def test_a_stream_that_breaks_off_is_asked_for_again(broken: str) -> None:
    assert ask(Plain(broken, kind="text/event-stream"), Answer("whole")) == "whole"
    with pytest.raises(ModelError, match="in the middle of an answer"):
        ask(Plain(broken, kind="text/event-stream"))


def test_a_connection_that_closes_in_an_answer_is_told_in_plain_words() -> None:
    cut = Plain(TEXT, kind="text/event-stream", headers={"content-length": "9999", "connection": "close"})
    with pytest.raises(ModelError, match="closed the connection in the middle of an answer; is the server running") as told:
        ask(cut)
    assert "peer" not in str(told.value)


def test_the_chunks_of_a_stream_may_be_cut_anywhere() -> None:
    sent = (TEXT.replace("ok", "é\U0001f600").replace("\n", "\r\n") + DONE).encode()
    for size in (1, 2, 3, 7):
        found = list(read_objects(iter([sent[at : at + size] for at in range(0, len(sent), size)])))
        assert found == [{"choices": [{"delta": {"content": "é\U0001f600"}}]}, END]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ({"error": {"message": "no model m", "code": 404}}, "no such model.*no model m"),
        ({"error": {"message": "bad key", "type": "authentication_error"}}, "refused the key.*bad key"),
        ({"error": {"message": "pay", "code": "insufficient_quota"}}, "out of quota"),
        ({"error": {"message": "bad field", "type": "invalid_request_error", "param": "seed"}}, r"refused the request.*bad field \(seed\)"),
        ({"type": "error", "message": "bad key", "status": "401"}, "refused the key"),
        ({"choices": [{"delta": {}, "error": {"message": "no", "code": 403}, "finish_reason": "error"}]}, "refused the key"),
    ],
)
@pytest.mark.parametrize("form", ["data: {}\n\n", "error: {}\n\n", TEXT.replace("{", "{{").replace("}", "}}") + "data: {}\n\n", "{}"])
def test_an_error_in_a_stream_is_told_at_once(error: dict[str, object], cause: str, form: str) -> None:
    with serve(Plain(form.format(json.dumps(error)), kind="text/event-stream")) as server, pytest.raises(ModelError, match=cause) as raised:
        OpenAIModel(server.url, "m", patience=Patience(5)).reply(ASK, (), Sampling())
    assert "\n" not in str(raised.value)
    assert len(server.requests) <= 3  # the optional fields are tried away


def test_an_error_in_a_stream_that_may_pass_is_waited_out() -> None:
    assert ask(Plain('data: {"error": {"message": "busy", "type": "rate_limit_error"}}\n\n'), Answer("ok")) == "ok"
    assert ask(Plain('data: {"error": "overloaded"}\n\n', kind="text/event-stream"), Answer("ok")) == "ok"
    with pytest.raises(ContextOverflow):
        ask(Plain('data: {"error": {"message": "too big", "code": "context_length_exceeded"}}\n\n'))


def test_a_line_of_many_pieces_takes_no_long_time() -> None:
    began = time.process_time()
    text = "x" * 4_000_000
    line = f'data: {{"choices": [{{"delta": {{"content": "{text}"}}}}]}}\n\n'.encode()
    assert len(list(read_objects(iter([line[at : at + 100] for at in range(0, len(line), 100)])))) == 1
    assert time.process_time() - began < 5


def test_damaged_streams_are_a_reply_or_are_refused_as_malformed() -> None:
    call = '{"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "bash", "arguments": "{}"}}]}}]}'
    usage = '{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}, "prompt_token_ids": [1]}'
    whole = f"{TEXT}data: {call}\r\n\r\n{STOP}data: {usage}\n\n{DONE}".encode()
    outcomes = []
    for seed in range(2000):
        chance, data = random.Random(seed), bytearray(whole)
        if seed % 2:
            data[chance.randrange(len(data))] = chance.randrange(256)
        else:
            value = chance.choice(list(re.finditer(rb'(?<=: )("[^"]*"|\d+|\{[^{}]*\}|\[[^\[\]]*\])', whole)))
            data[value.start() : value.end()] = chance.choice([b"null", b"[]", b"{}", b"7", b'"x"', b"true", b"NaN"])
        at = chance.randrange(len(data))
        answer = ChatAnswer()
        try:
            for event in read_objects(iter([bytes(data[:at]), bytes(data[at:])])):
                answer.add(event)
            outcomes.append(len(answer.tool_calls(1)) <= 1 and answer.tokens() is None)
        except (ValueError, AttributeError, KeyError, TypeError):  # the client and the model make a sentence of these
            outcomes.append(True)
    assert all(outcomes)
