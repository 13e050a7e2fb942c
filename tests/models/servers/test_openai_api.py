"""The direct endpoint against a real HTTP server."""

from __future__ import annotations

import json
import socket
import time

import pytest

from codagent.errors import ContextOverflow, ModelError
from codagent.models.http.patience import Patience
from codagent.models.servers.openai_api import OpenAIModel
from codagent.models.servers.server_facts import default_model
from codagent.types import Message, Sampling, Tokens, Tool, ToolCall
from tests.models.loopback import Answer, Plain, refusal, serve
from tests.pace import Pace

BASH = Tool("bash", "Run.", {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]})
ASK = (Message("system", "Be brief."), Message("user", "list"))
LS = Answer("I look.", calls=[("bash", '{"command": "ls"}')])


def test_a_streamed_call_comes_back_whole_and_is_heard_as_it_is_written() -> None:
    heard: list[str] = []
    with serve(LS) as server:
        reply = OpenAIModel(server.url, "m").reply(ASK, (BASH,), Sampling(), heard.append)
    assert reply.message == Message("assistant", "I look.", (ToolCall("id0", "bash", '{"command": "ls"}'),))
    assert (reply.stop, reply.prompt_tokens, reply.completion_tokens, reply.cost_usd) == ("tool_calls", 7, 3, None)
    assert (reply.raw, reply.policy, reply.tokens) == ("I look.", "m native", None)
    assert "".join(heard) == 'I look.{"command": "ls"}'


def test_a_request_holds_the_conversation_the_tools_and_only_the_chosen_sampling() -> None:
    asked = (*ASK, Message("assistant", "", (ToolCall("a", "bash", '{"command": "ls"}'),)), Message("tool", "x.py", tool_call_id="a"))
    with serve(LS) as server:
        OpenAIModel(server.url, "m", api_key="secret").reply(asked, (BASH,), Sampling(temperature=0.5, seed=3, max_tokens=9))
    request = server.requests[0]
    assert request["messages"][2:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "bash", "arguments": '{"command": "ls"}'}}],
        },
        {"role": "tool", "content": "x.py", "tool_call_id": "a"},
    ]
    assert {key: request.get(key) for key in ("temperature", "seed", "max_tokens", "top_p", "top_k")} == {
        "temperature": 0.5,
        "seed": 3,
        "max_tokens": 9,
        "top_p": None,
        "top_k": None,
    }
    assert server.keys == ["Bearer secret"]


def test_turns_share_a_connection_and_cost_little() -> None:
    with serve(LS) as server:
        model = OpenAIModel(server.url, "m")
        model.reply(ASK, (BASH,), Sampling())
        began = time.process_time()
        for _ in range(20):
            model.reply(ASK, (BASH,), Sampling())
        took = time.process_time() - began  # the server's part is in it
    assert len(server.connections) == 1
    assert took / 20 < 0.1


def test_token_ids_and_logprobs_are_kept_when_there_is_one_of_each_for_every_token() -> None:
    answer = Answer("ok", usage=(2, 2), prompt_ids=[5, 6], tokens=[(8, -0.5), (9, -0.25)])
    with serve(answer) as server:
        reply = OpenAIModel(server.url, "m").reply(ASK, (), Sampling())
    assert reply.tokens == Tokens((5, 6), (8, 9), (-0.5, -0.25))


@pytest.mark.parametrize(
    "answer",
    [
        Answer("ok", usage=(2, 3), prompt_ids=[5, 6], tokens=[(8, -0.5), (9, -0.25)]),
        Answer("ok", usage=(2, 2), tokens=[(8, -0.5), (9, -0.25)]),
        Answer("ok", usage=None, prompt_ids=[5, 6], tokens=[(8, -0.5)]),
    ],
    ids=["a token without id", "no prompt ids", "not counted"],
)
def test_tokens_that_are_not_exact_are_not_kept(answer: Answer) -> None:
    with serve(answer) as server:
        assert OpenAIModel(server.url, "m").reply(ASK, (), Sampling()).tokens is None


def test_a_server_that_refuses_the_extras_is_asked_without_them_from_then_on() -> None:
    with serve(refusal(400, "unknown field return_token_ids"), Answer("a"), Answer("b")) as server:
        model = OpenAIModel(server.url, "m")
        assert [model.reply(ASK, (), Sampling()).raw for _ in range(2)] == ["a", "b"]
    assert ["logprobs" in request for request in server.requests] == [True, False, False]
    assert all("stream_options" in request for request in server.requests)


def test_a_request_that_is_refused_for_itself_fails_with_the_servers_words() -> None:
    with serve(refusal(400, "temperature must be positive")) as server, pytest.raises(ModelError, match="temperature must be positive"):
        OpenAIModel(server.url, "m").reply(ASK, (), Sampling())


def test_a_server_that_does_not_count_gets_a_cautious_estimate() -> None:
    with serve(Answer("x" * 300, usage=None)) as server:
        reply = OpenAIModel(server.url, "m").reply((Message("user", "y" * 3000),), (), Sampling())
    assert 900 < reply.prompt_tokens < 1200
    assert reply.completion_tokens == 101


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failure_that_passes_is_waited_out(status: int) -> None:
    with serve(refusal(status, "busy"), refusal(status, "busy"), Answer("done")) as server:
        assert OpenAIModel(server.url, "m").reply(ASK, (), Sampling()).raw == "done"


def test_retry_after_is_honoured() -> None:
    with serve(refusal(429, "slow down", retry_after="0.5"), Answer("done")) as server:
        began = time.monotonic()
        assert OpenAIModel(server.url, "m", patience=Patience(1)).reply(ASK, (), Sampling()).raw == "done"
    assert time.monotonic() - began >= 0.5


def test_a_wait_beyond_all_patience_is_not_waited_for() -> None:
    with serve(refusal(429, "slow down", retry_after="3600")) as server, pytest.raises(ModelError, match=r"429.*slow down"):
        OpenAIModel(server.url, "m", patience=Patience(1)).reply(ASK, (), Sampling())


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (refusal(401, "bad key"), "refused the key"),
        (refusal(403, "not yours"), "refused the key"),
        (refusal(404, "no model m"), "no such model"),
        (refusal(429, "You exceeded your current quota", "insufficient_quota"), "out of quota"),
    ],
)
def test_what_waiting_cannot_mend_fails_at_once(answer: Plain, cause: str) -> None:
    with serve(answer) as server, pytest.raises(ModelError, match=cause):
        OpenAIModel(server.url, "m").reply(ASK, (), Sampling())
    assert len(server.requests) == 1


def test_a_server_that_is_down_is_named_within_the_patience() -> None:
    with socket.socket() as unused, Pace() as pace:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        began = time.monotonic()
        with pytest.raises(ModelError, match=rf"endpoint {url} refused the connection .* is the server running\?") as raised:
            OpenAIModel(url, "m", patience=Patience(0.5)).reply(ASK, (), Sampling())
    assert time.monotonic() - began < 2 + pace.slack
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "answer",
    [
        refusal(400, "This model's maximum context length is 4096 tokens. However, you requested 5000"),
        refusal(400, "too big", "context_length_exceeded"),
        Plain('{"error":{"code":400,"message":"request (5031 tokens) exceeds it","type":"exceed_context_size_error"}}', 400),
        refusal(400, "The decoder prompt (length 9) is longer than the maximum model length of 4"),
        refusal(413, "payload too large"),
        Plain('data: {"error": {"code": 400, "message": "exceeds the available context size"}}\n\n', kind="text/event-stream"),
    ],
)
def test_a_request_that_is_too_long_is_an_overflow(answer: Plain) -> None:
    with serve(answer) as server, pytest.raises(ContextOverflow):
        OpenAIModel(server.url, "m").reply(ASK, (), Sampling())
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        Plain("data: {not json\n\n", kind="text/event-stream"),
        Plain("<html>proxy error</html>", kind="text/html"),
        Plain('data: {"choices": [{"delta": "text"}]}\n\n', kind="text/event-stream"),
        Plain("[]"),
        Plain("data: [DONE]\n\n", kind="text/event-stream"),
    ],
)
def test_a_malformed_answer_is_asked_for_again_and_then_given_up(garbage: Plain) -> None:
    with serve(garbage, Answer("whole")) as server:
        assert OpenAIModel(server.url, "m").reply(ASK, (), Sampling()).raw == "whole"
    with serve(garbage) as server, pytest.raises(ModelError):
        OpenAIModel(server.url, "m", patience=Patience(0.2)).reply(ASK, (), Sampling())


def test_a_line_separator_inside_json_does_not_end_the_line() -> None:
    with serve(Answer("a\u2028b\x85c")) as server:
        assert OpenAIModel(server.url, "m").reply(ASK, (), Sampling()).raw == "a\u2028b\x85c"


def test_a_server_that_does_not_stream_is_understood() -> None:
    choice = '{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}'
    whole = f'{{"choices": [{choice}], "usage": {{"prompt_tokens": 4, "completion_tokens": 1}}}}'
    with serve(Plain(whole)) as server:
        reply = OpenAIModel(server.url, "m").reply(ASK, (), Sampling())
    assert (reply.raw, reply.prompt_tokens, reply.completion_tokens) == ("hi", 4, 1)


def test_a_call_that_was_cut_keeps_its_raw_arguments() -> None:
    with serve(Answer(calls=[("bash", '{"command": "l')], finish="length")) as server:
        reply = OpenAIModel(server.url, "m").reply(ASK, (BASH,), Sampling())
    assert (reply.stop, reply.message.tool_calls) == ("length", (ToolCall("id0", "bash", '{"command": "l'),))


def test_text_that_is_not_unicode_is_sent_with_replacements() -> None:
    with serve(Answer("ok")) as server:
        OpenAIModel(server.url, "m").reply((Message("user", "caf\udce9"),), (), Sampling())
    assert server.requests[0]["messages"][0]["content"] == "caf?"


def test_halves_of_characters_reach_no_server() -> None:
    sent = (Message("user", "\ud83d \ud83d" + "\ude00"), Message("assistant", "", (ToolCall("a", "bash", "[" * 50_000),)))
    with serve(Answer("ok")) as server:
        OpenAIModel(server.url, "m").reply(sent, (BASH,), Sampling())
    first, second = server.requests[0]["messages"]
    assert first["content"] == "\ufffd \U0001f600"
    assert json.loads(second["tool_calls"][0]["function"]["arguments"]) == {"malformed": "[" * 50_000}


@pytest.mark.parametrize("body", ['{"choices":' * 50_000, '{"choices": [], "created": ' + "9" * 5000 + "}"], ids=["brackets", "digits"])
def test_an_answer_that_cannot_be_parsed_is_an_error_of_the_server(body: str) -> None:
    with serve(Plain(body)) as server, pytest.raises(ModelError, match="not JSON"):
        OpenAIModel(server.url, "m", patience=Patience(0.1)).reply(ASK, (), Sampling())


def test_a_constrained_model_is_held_to_a_schema() -> None:
    with serve(Answer('{"thought": "t", "tool": "bash", "arguments": {"command": "ls"}}')) as server:
        reply = OpenAIModel(server.url, "m", calling="constrained").reply(ASK, (BASH,), Sampling())
    assert reply.message.tool_calls == (ToolCall("call_2_0", "bash", '{"command": "ls"}'),)
    assert server.requests[0]["response_format"]["json_schema"]["schema"]["properties"]["tool"] == {"const": "bash"}
    assert "tools" not in server.requests[0]


@pytest.mark.parametrize(
    ("models", "name"),
    [
        ([{"id": "a"}, {"id": "b", "parent": None}], "a"),
        ([{"id": "base", "parent": None}, {"id": "run@2", "parent": "base"}], "run@2"),  # as vLLM lists them
        ([{"id": "run@2", "parent": "base"}, {"id": "run@1", "parent": "base"}, {"id": "base"}], "run@2"),
        (["a", {}], ""),
        (None, ""),
    ],
)
def test_of_the_models_of_a_server_an_adapter_is_meant_or_else_the_first(models: list[object] | None, name: str) -> None:
    assert default_model({"data": models}) == name


def test_a_reply_that_does_not_fit_into_the_window_is_asked_for_as_long_as_may_be() -> None:
    words = "The maximum context length is 8192 tokens. You requested 9096 tokens (5000 in the messages, 4096 in the completion)"
    with serve(refusal(400, words), Answer("hi")) as server:
        reply = OpenAIModel(server.url, "m").reply((Message("user", "a"),), (), Sampling())
        OpenAIModel(server.url, "m").reply((Message("user", "a"),), (), Sampling())
    assert reply.raw == "hi"
    assert [request["max_tokens"] for request in server.requests] == [4096, 3192, 4096]
