"""Requests that are none, field by field, and a model's thread that ends: whoever asks is answered, and the server never answers nobody."""

import json
from threading import Thread

import httpx
import pytest
from transformers import AutoTokenizer

from codagent.errors import ModelError, UsageError
from codagent.types import Sampling
from codagent_train.run_dir.weights_ref import resolve
from codagent_train.serving.adapters import open_weights
from codagent_train.serving.chat_request import parse_request
from codagent_train.serving.server import listen
from tests.train.doubles.characters import TOOLS
from tests.train.serving.asking import ask, user

NONE = [True, False, 5, 1.5, "x", [1], {"x": 1}, 10**400, -1, 0]
CALL = {"type": "function", "function": {"name": "say", "arguments": "{}"}}


def deep(count):
    return '{"x": ' * count + "1" + "}" * count


def without(*fine):
    return [value for value in NONE if not any(type(value) is type(one) and value == one for one in fine)]


FIELDS = {
    "model": without("x"),  # a text is a name
    "stream": without(True, False),
    "logprobs": without(True, False),
    "return_token_ids": without(True, False),
    "stream_options": [*without({"x": 1}), {"include_usage": 1}, {"include_usage": "x"}],
    "max_tokens": [*without(5), 10**5],
    "max_completion_tokens": [*without(5), 10**5],
    "temperature": [*without(5, 1.5, 0), 101, 1e300],
    "seed": [True, 1.5, "x", [1], {}],
    "messages": [*NONE, [], {}, [[]], [None], [{}], [{"role": "user", "content": 5}], [{"role": 5, "content": "x"}]],
    "tools": [*NONE, ["x"], [{}], [{"function": 5}], [{"function": {"name": 5}}], [{"function": {"name": ["x"]}}]],
    **{name: without(1) for name in ("n", "top_p", "repetition_penalty")},
    **{name: without(0) for name in ("min_p", "frequency_penalty", "presence_penalty", "top_logprobs")},
    "top_k": without(0, -1),
    **dict.fromkeys(("logit_bias", "stop", "response_format", "tool_choice"), NONE),
}
MESSAGES = [
    {"content": [5]},
    {"content": [{"type": "text", "text": 5}]},
    {"content": [{"type": "image_url"}]},
    {"content": {"text": "x"}},
    {"name": 5},
    {"tool_call_id": ["x"]},
    {"tool_calls": 5},
    {"tool_calls": "x"},
    {"tool_calls": {"x": 1}},
    {"tool_calls": [5]},
    {"tool_calls": [{}]},
    {"tool_calls": [{"function": {"arguments": "{}"}}]},
    {"tool_calls": [CALL | {"function": {"name": 5}}]},
]


@pytest.fixture
def post(endpoint):
    with httpx.Client(base_url=endpoint.url, headers={"authorization": f"Bearer {endpoint.key}"}, timeout=200) as client:

        def posted(path, body):
            return client.post(path, content=body if isinstance(body, str) else json.dumps(body))

        yield posted


def refused(answer):
    message = answer.json()["error"]["message"]
    return answer.status_code == 400 and len(message.splitlines()) == 1 and len(message) < 600


def test_every_field_of_another_kind_is_refused_in_a_sentence(post, client, capfd):
    for name, values in FIELDS.items():
        for value in values:
            body = {"messages": user("a"), "max_tokens": 2} | {name: value}
            assert (name, value, refused(post("chat/completions", body))) == (name, value, True)
    for fields in MESSAGES:
        assert (fields, refused(post("chat/completions", {"messages": [user("a")[0] | fields]}))) == (fields, True)
    for number in ("Infinity", "-Infinity", "NaN", "1e999", "1" * 5001):
        for name in ("max_tokens", "temperature", "seed", "n", "stream", "messages", "other"):
            assert refused(post("chat/completions", f'{{"messages": {json.dumps(user("a"))}, "{name}": {number}}}'))
    assert len(ask(client, max_tokens=5, seed=1).choices[0].message.content) == 5
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("name", ["lora_name", "lora_path"])
@pytest.mark.parametrize("path", ["load_lora_adapter", "unload_lora_adapter"])
def test_names_and_paths_that_are_none_are_refused(post, capfd, name, path):
    for value in (*without("x"), "", None, "a\0b", "x" * 5000, "x" * 500_000):
        assert refused(post(path, {"lora_name": "x", "lora_path": "x"} | {name: value}))
    assert refused(post(path, '{"lora_name": "\\ud800", "lora_path": "\\udc00"}'))
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("depth", [*range(50, 1000, 50), 960, 970, 975, 980, 985, 990, 995, 5000, 50_000])
def test_what_is_nested_deeply_is_answered_however_deep(post, capfd, depth):
    tool = '{"type": "function", "function": {"name": "say", "parameters": ' + deep(depth) + "}}"
    fields = {
        "other": deep(depth),
        "tools": f"[{tool}]",
        "stop": deep(depth),
        "n": deep(depth),
        "seed": deep(depth),
        "messages": f'[{{"role": "user", "content": {deep(depth)}}}]',
    }
    calls = [CALL | {"function": {"name": "say", "arguments": deep(depth)}}]
    answers = [post("chat/completions", {"messages": [user("a")[0] | {"tool_calls": calls}], "max_tokens": 1})]
    for name, value in fields.items():
        rest = {"messages": user("a"), "max_tokens": 1} if name != "messages" else {}
        answers.append(post("chat/completions", json.dumps(rest)[:-1] + (", " if rest else "") + f'"{name}": {value}}}'))
    assert {answer.status_code for answer in answers} <= {200, 400}
    assert "Traceback" not in capfd.readouterr().err


def test_seeds_and_limits_of_any_size_are_taken_where_they_mean_something(folder):
    processor = AutoTokenizer.from_pretrained(folder)

    def sampling(**given):
        return parse_request({"messages": user("hi")} | given, processor, model="m", context_tokens=100).sampling

    assert sampling(seed=2**70 + 5).seed == sampling(seed=5).seed
    assert sampling(seed=-1).seed == 2**64 - 1
    assert sampling(temperature=0).temperature == 1e-5
    assert sampling(max_completion_tokens=7, max_tokens=9).max_tokens == 7
    with pytest.raises(UsageError, match="max_tokens 1 or more"):
        sampling(max_completion_tokens=0, max_tokens=9)


TEMPLATES = ["{{ 1 / 0 }}", "{{ messages[0].content.format(*[1]) }}", "{{ messages[5].content }}", "{{ raise_exception('no') }}", "{% x %}"]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_that_fails_in_its_own_way_is_told_of_as_what_it_is(folder, template):
    processor = AutoTokenizer.from_pretrained(folder)
    processor.chat_template = template
    with pytest.raises(UsageError, match="chat template does not take these messages"):
        parse_request({"messages": user("{9}")}, processor, model="m", context_tokens=100)


def test_an_error_of_any_kind_while_a_batch_grows_is_told_to_those_in_it_alone(endpoint, client):
    pending = endpoint.scheduler.submit(endpoint.pool.base, (10**6,), Sampling(1.0, 1.0, 0, 5, 1))  # torch raises an IndexError
    with pytest.raises(ModelError, match=r"the reply broke off: .*index out of range"):
        list(pending.iter_tokens(lambda: False))
    assert len(ask(client, max_tokens=5, seed=1).choices[0].message.content) == 5


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError(), SystemExit(3)])
def test_whatever_a_job_raises_is_raised_where_it_was_asked_for(endpoint, client, error):
    def fail():
        raise error

    with pytest.raises(type(error)):
        endpoint.scheduler.run_between_steps(fail)
    assert len(ask(client, max_tokens=5, seed=1).choices[0].message.content) == 5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_server_ends_with_the_thread_of_its_model_and_those_who_wait_are_told(folder):
    ended = []

    def serve():
        with pytest.raises(ModelError, match="start the server again") as caught:
            endpoint.serve_forever(0.02)
        ended.append(caught.value)

    with listen(open_weights(resolve(str(folder)))) as endpoint:
        serving = Thread(target=serve)
        serving.start()
        pending = endpoint.scheduler.submit(endpoint.pool.base, (1, 2), Sampling(1.0, 1.0, 0, 4000, 1))
        assert next(pending.iter_tokens(lambda: False))
        pending.cancelled = False
        endpoint.scheduler._jobs.put(lambda: 1 / 0)  # a bug of the scheduler's own
        with pytest.raises(ModelError, match="the server ends"):
            list(pending.iter_tokens(lambda: False))
        with pytest.raises(ModelError, match="the server ends"):
            endpoint.scheduler.run_between_steps(lambda: None)
        serving.join(10)
    assert len(ended) == 1


def test_tools_that_may_be_called_are_those_that_were_named(folder):
    processor = AutoTokenizer.from_pretrained(folder)
    assert parse_request({"messages": user("hi"), "tools": TOOLS}, processor, model="m", context_tokens=100).tools == ("say",)
    assert (
        parse_request({"messages": user("hi"), "tools": TOOLS, "tool_choice": "none"}, processor, model="m", context_tokens=100).tools == ()
    )
