"""The endpoint over weights: OpenAI's client, many at once, and what is refused; with a model of two layers."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import httpx
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from codagent.errors import UsageError
from codagent.models.servers.openai_api import OpenAIModel as Client
from codagent.types import Message, Sampling
from codagent_train.serving.chat_request import parse_request
from tests.train.doubles.characters import TEMPLATE, TOOLS
from tests.train.serving.asking import ask, recomputed, user

pytestmark = pytest.mark.usefixtures("hushed")

LONG = 3000


def test_a_reply_has_a_text_a_reason_and_its_usage(client, folder):
    answer = ask(client, "which way?", max_tokens=5, seed=1)
    (choice,) = answer.choices
    assert (answer.model, choice.message.role, len(choice.message.content)) == (str(folder), "assistant", 5)
    assert choice.finish_reason == "length"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (len("which way?") + 3, 5)


def test_a_stream_says_what_the_whole_reply_says(client):
    whole = ask(client, max_tokens=20, seed=3)
    chunks = list(ask(client, max_tokens=20, seed=3, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == whole.choices[0].finish_reason
    assert chunks[-1].usage == whole.usage


def test_tools_are_called_whole_and_streamed(client):
    given = {"tools": TOOLS, "temperature": 0, "max_tokens": 100}
    (choice,) = ask(client, **given).choices
    (call,) = choice.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("say", {"word": "hi"})
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    deltas = [chunk.choices[0] for chunk in ask(client, stream=True, **given)]
    (part,) = [part for choice in deltas for part in choice.delta.tool_calls or []]
    assert (part.index, part.function.name, part.function.arguments) == (0, "say", call.function.arguments)
    assert deltas[-1].finish_reason == "tool_calls"


def test_a_conversation_with_calls_and_parts_of_text_goes_on(client):
    call = {"id": "1", "type": "function", "function": {"name": "say", "arguments": '{"word": "a"}'}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "said"},
    ]
    answer = client.chat.completions.create(model="", messages=messages, max_tokens=2, extra_body={"return_token_ids": True})
    assert answer.usage.prompt_tokens == len("<ab><><said>") - 3 * 2 + 2 * 3 + 1


def test_sixteen_at_once_get_what_each_gets_alone(client):
    texts = [str(number) * (number + 1) for number in range(16)]

    def one(number):
        answer = ask(
            client, texts[number], seed=number, temperature=2, max_tokens=10 + 5 * (number % 4), extra_body={"return_token_ids": True}
        )
        return answer.choices[0].token_ids

    alone = [one(number) for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(16))) == alone
    assert len({tuple(ids) for ids in alone}) == 16


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_codagent_gets_ids_and_the_logprobs_of_what_was_sampled_from(endpoint, folder, temperature):
    client = Client(endpoint.url, str(folder), api_key=endpoint.key)
    sampling = Sampling(temperature, 1.0, 0, 30, 7)
    reply = client.reply((Message("user", "which way?"),), (), sampling)
    client.close()
    assert len(reply.tokens.completion_ids) == reply.completion_tokens
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert reply.tokens.logprobs == pytest.approx(recomputed(model, reply.tokens, temperature), abs=1e-4)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic wrong"}])
@pytest.mark.parametrize("path", ["models", "chat/completions", "load_lora_adapter", "nothing"])
def test_without_the_key_nothing_is_answered(endpoint, headers, path):
    ask = httpx.get if path == "models" else httpx.post
    answer = ask(f"{endpoint.url}/{path}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 401)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up_frees_its_place(endpoint, client, stream):
    body = json.dumps({"messages": user("which way?"), "max_tokens": LONG, "seed": 4, "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {endpoint.key}\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(endpoint.server_address) as connection:
        connection.sendall(head.encode() + body)
        while not (
            tickets := endpoint.scheduler.run_between_steps(
                lambda: [each for batch in endpoint.scheduler._batches.values() for each in batch.pending]
            )
        ):
            sleep(0.01)
    assert len(ask(client, max_tokens=5, seed=1).choices[0].message.content) == 5
    while not tickets[0].cancelled:
        sleep(0.01)
    for _ in range(2):  # it is dropped in the step that comes next
        endpoint.scheduler.run_between_steps(lambda: None)
    assert endpoint.scheduler.run_between_steps(lambda: len(endpoint.scheduler._batches)) == 0
    assert len(tickets[0].completion.ids) < LONG


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"top_p": 0.9}, "top_p is 0.9, and this server takes 1 only"),
        ({"n": 2}, "n is 2"),
        ({"stop": ["x"]}, "stop is"),
        ({"temperature": -1}, "temperature must be 0 or more"),
        ({"max_tokens": 5000}, "maximum context length is 4096 tokens"),
        ({"messages": ["x"]}, "not a chat completion request"),
        ({"messages": None}, "not a chat completion request"),
        ({"seed": "x"}, "not a chat completion request"),
    ],
)
def test_what_is_not_to_be_had_is_refused(endpoint, given, why):
    answer = httpx.post(
        f"{endpoint.url}/chat/completions", json={"messages": user("a")} | given, headers={"authorization": f"Bearer {endpoint.key}"}
    )
    assert answer.status_code == 400
    assert why in answer.json()["error"]["message"]


def test_tools_that_the_template_would_not_show_are_refused(folder):
    processor = AutoTokenizer.from_pretrained(folder)
    processor.chat_template = TEMPLATE.partition("{% endfor %}")[2]
    with pytest.raises(UsageError, match="chat template shows it no tools"):
        parse_request({"messages": user("hi"), "tools": TOOLS}, processor, model="m", context_tokens=100)


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_what_is_no_json_object_is_refused(endpoint, body):
    answer = httpx.post(f"{endpoint.url}/chat/completions", content=body, headers={"authorization": f"Bearer {endpoint.key}"})
    assert answer.status_code == 400
