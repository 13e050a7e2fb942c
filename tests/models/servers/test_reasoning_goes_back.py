"""Models that think: what a server sent beside a call goes back with that call, under the name that it came under."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from codagent.errors import ModelError
from codagent.models.http.patience import Patience
from codagent.models.servers.litellm import LiteLLM
from codagent.models.servers.openai_api import OpenAIModel
from codagent.protocols import Thought
from codagent.types import Message, Sampling, Tool

BASH = Tool("bash", "Run.", {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]})
CALL = {"index": 0, "id": "call_1__thought__S=", "type": "function", "function": {"name": "bash", "arguments": '{"command": "ls"}'}}
DETAILS = [{"type": "reasoning.text", "text": "I see.", "index": 0, "signature": "S"}]


@contextmanager
def provider(answer):
    """Answers each request with what `answer` makes of its body: a list of events, or a refusal's text."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            answered = answer(asked[-1])
            refused = isinstance(answered, str)
            self.send_response(400 if refused else 200)
            self.send_header("content-type", "application/json" if refused else "text/event-stream")
            self.end_headers()
            if refused:
                self.wfile.write(json.dumps({"error": {"message": answered, "type": "invalid_request_error"}}).encode())
                return
            for event in answered:
                self.wfile.write(f"event: {event.get('type', 'message')}\ndata: {json.dumps(event)}\n\n".encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def chat(*deltas):
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    events = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    end = {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    return [*events, end, {**head, "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}}]


def two_steps(model):
    """Two replies of a conversation in which the first is answered."""
    messages = (Message("user", "list"),)
    first = model.reply(messages, (BASH,), Sampling()).message
    answers = tuple(Message("tool", "a.py", tool_call_id=call.id) for call in first.tool_calls)
    return first, model.reply((*messages, first, *answers), (BASH,), Sampling()).message


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "reasoning_text"])
def test_an_endpoint_gets_its_reasoning_back_under_its_name(name):
    with provider(lambda _: chat({"role": "assistant", name: "The sign "}, {name: "is wrong."}, {"tool_calls": [CALL]})) as (url, asked):
        two_steps(OpenAIModel(url, "m"))
    sent = asked[1]["messages"][1]
    assert sent[name] == "The sign is wrong."
    assert sent["tool_calls"][0]["id"] == CALL["id"]


def test_an_endpoint_gets_details_and_signatures_of_calls_back():
    signed = {**CALL, "extra_content": {"google": {"thought_signature": "R1"}}}
    pieces = [{"reasoning_details": [{"type": "reasoning.text", "text": text, "index": 0}]} for text in ("I ", "see.")]
    end = {"reasoning_details": [{"type": "reasoning.text", "signature": "S", "index": 0}], "tool_calls": [signed]}
    with provider(lambda _: chat(*pieces, end)) as (url, asked):
        two_steps(OpenAIModel(url, "m"))
    sent = asked[1]["messages"][1]
    assert sent["reasoning_details"] == DETAILS
    assert sent["tool_calls"][0]["extra_content"] == signed["extra_content"]


def test_a_server_that_takes_no_reasoning_back_is_remembered():
    def answer(body):
        back = any("reasoning_content" in message for message in body["messages"])
        return "reasoning_content is not allowed" if back else chat({"reasoning_content": "hm", "tool_calls": [CALL]})

    with provider(answer) as (url, asked):
        model = OpenAIModel(url, "m")
        two_steps(model)
        before = len(asked)
        two_steps(model)
    assert len(asked) == before + 2


def test_a_refusal_for_another_reason_is_told():
    def answer(body):
        return "no more" if len(body["messages"]) > 1 else chat({"reasoning": "hm", "tool_calls": [CALL]})

    with provider(answer) as (url, _), pytest.raises(ModelError, match="no more"):
        two_steps(OpenAIModel(url, "m"))


def test_deepseek_by_litellm_gets_its_reasoning_back():
    def answer(body):
        said = [message for message in body["messages"] if message["role"] == "assistant"]
        missing = any(not message.get("reasoning_content") for message in said)
        return "The `reasoning_content` must be passed back." if missing else chat({"reasoning_content": "hm"}, {"tool_calls": [CALL]})

    with provider(answer) as (url, asked):
        two_steps(LiteLLM("deepseek/deepseek-reasoner", url=url, api_key="k", patience=Patience(0.5)))
    assert asked[1]["messages"][1]["reasoning_content"] == "hm"


def thinking(index, *pieces, signature):
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces] + [{"type": "signature_delta", "signature": signature}]
    start = {"type": "content_block_start", "index": index, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}
    pieces = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    return [start, *pieces, {"type": "content_block_stop", "index": index}]


def test_anthropic_by_litellm_gets_the_same_blocks_back():
    usage = {"input_tokens": 9, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "x", "content": [], "stop_reason": None, "usage": usage}
    hidden = {"type": "redacted_thinking", "data": "RED"}
    use = {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {}}
    events = [
        {"type": "message_start", "message": message},
        *thinking(0, "one ", "two", signature="S1"),
        {"type": "content_block_start", "index": 1, "content_block": hidden},
        {"type": "content_block_stop", "index": 1},
        *thinking(2, "three", signature="S2"),
        {"type": "content_block_start", "index": 3, "content_block": use},
        {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": '{"command": "ls"}'}},
        {"type": "content_block_stop", "index": 3},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
    with provider(lambda _: events) as (url, asked):
        two_steps(LiteLLM("anthropic/claude-sonnet-4-5", url=url, api_key="k", patience=Patience(0.5)))
    sent = asked[1]["messages"][1]["content"]
    assert sent[:3] == [
        {"type": "thinking", "thinking": "one two", "signature": "S1"},
        hidden,
        {"type": "thinking", "thinking": "three", "signature": "S2"},
    ]
    assert [block["id"] for block in sent[3:]] == ["toolu_1"]


@pytest.mark.parametrize("make", [lambda url: OpenAIModel(url, "m"), lambda url: LiteLLM("deepseek/deepseek-chat", url=url, api_key="k")])
def test_thoughts_are_heard_as_thoughts_and_are_no_part_of_the_answer(make):
    heard = []
    with provider(lambda _: chat({"reasoning_content": "Hm, "}, {"reasoning_content": "so."}, {"content": "It is done."})) as (url, _):
        reply = make(url).reply((Message("user", "a"),), (), Sampling(), heard.append)
    assert "".join(piece for piece in heard if isinstance(piece, Thought)) == "Hm, so."
    assert "".join(piece for piece in heard if not isinstance(piece, Thought)) == reply.message.content == "It is done."
