"""The endpoint over weights: OpenAI's client, many at once, adapters, and what is refused; with a model of two layers."""

import json
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from string import printable
from time import sleep

import httpx
import openai
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from codagent.errors import ModelError, UsageError
from codagent.models.endpoint import Endpoint as Client
from codagent.models.opening import open_model
from codagent.types import Message, Sampling
from codagent_train.serve import listening
from codagent_train.serve_chat import asked
from codagent_train.serve_weights import base_of, opened

TRAIN = Path(sys.executable).parent / "codagent-train"
TEMPLATE = (
    "{% for t in tools or [] %}<tool>{{ t.function.name }}{% endfor %}"
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
MARKS = ["<system>", "<user>", "<assistant>", "<tool>", "<end>", "<none>"]
CALL = '<tool_call>{"name": "say", "arguments": {"word": "hi"}}</tool_call>'
TOOLS = [{"type": "function", "function": {"name": "say", "description": "", "parameters": {"type": "object", "properties": {}}}}]
LONG = 3000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights that read and write characters, and answer with a call where they are offered a tool."""
    torch.manual_seed(0)
    words = Tokenizer(models.WordLevel({character: at for at, character in enumerate(printable)} | {"<none>": len(printable)}, "<none>"))
    words.pre_tokenizer = pre_tokenizers.Split(Regex("[\\s\\S]"), "isolated")
    words.decoder = decoders.Fuse()
    processor = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", unk_token="<none>", additional_special_tokens=MARKS)
    processor.chat_template = TEMPLATE
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(processor),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=4096,
            eos_token_id=processor.eos_token_id,
            bos_token_id=None,
        )
    )
    asked = processor.apply_chat_template([{"role": "user", "content": "hi"}], tools=TOOLS, add_generation_prompt=True, return_dict=False)
    ids = torch.tensor([[*asked, *processor.encode(CALL), processor.eos_token_id]])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    path = tmp_path_factory.mktemp("served") / "weights"
    model.save_pretrained(path)
    processor.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def adapters(folder, tmp_path_factory):
    """Two adapters of those weights that change what they say."""
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(folder), LoraConfig(r=4, target_modules="all-linear"))
        for name, each in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(each, std=0.3)
        path = tmp_path_factory.mktemp("adapters") / f"checkpoint-{seed}"
        model.save_pretrained(path)
        found.append(path)
    return found


@pytest.fixture
def endpoint(folder):
    with listening(opened(str(folder))) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def client(endpoint):
    with openai.OpenAI(base_url=endpoint.url, api_key=endpoint.key, max_retries=0, timeout=60) as found:
        yield found


def user(text):
    return [{"role": "user", "content": text}]


def ask(client, text="hi", **given):
    return client.chat.completions.create(model=given.pop("model", client.models.list().data[0].id), messages=user(text), **given)


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


def recomputed(model, tokens, temperature):
    """The logprob of each id of the completion, by one pass over all of them."""
    with torch.no_grad():
        logits = model.eval()(input_ids=torch.tensor([[*tokens.prompt_ids, *tokens.completion_ids]])).logits[0]
    first = len(tokens.prompt_ids) - 1
    table = (logits[first:-1] / temperature).log_softmax(-1)
    return [table[place, one].item() for place, one in enumerate(tokens.completion_ids)]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_codagent_gets_ids_and_the_logprobs_of_what_was_sampled_from(endpoint, folder, temperature):
    client = Client(endpoint.url, str(folder), api_key=endpoint.key)
    sampling = Sampling(temperature, 1.0, 0, 30, 7)
    reply = client.reply((Message("user", "which way?"),), (), sampling)
    client.close()
    assert len(reply.tokens.completion_ids) == reply.completion_tokens
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert reply.tokens.logprobs == pytest.approx(recomputed(model, reply.tokens, temperature), abs=1e-4)


def test_names_choose_adapters_that_come_and_go_while_it_serves(endpoint, client, folder, adapters):
    def told(model):
        return ask(client, model=model, seed=5, max_tokens=30).choices[0].message.content

    def tell(path, **body):
        return httpx.post(f"{endpoint.url}/{path}", json=body, headers={"authorization": f"Bearer {endpoint.key}"}).status_code

    plain = told(str(folder))
    assert [tell("load_lora_adapter", lora_name=f"run@{at}.0", lora_path=str(path)) for at, path in enumerate(adapters)] == [200, 200]
    assert [model.id for model in client.models.list()] == ["run@1.0", "run@0.0", str(folder)]
    said = [told("run@0.0"), told("run@1.0"), told(str(folder))]
    assert len({*said}) == 3
    assert said[2] == plain
    assert tell("load_lora_adapter", lora_name="run@0.0", lora_path=str(adapters[0])) == 400
    assert tell("unload_lora_adapter", lora_name="run@1.0") == 200
    assert told("run@0.0") == said[0]
    with pytest.raises(openai.NotFoundError, match=r"run@1\.0 does not exist"):
        told("run@1.0")
    assert tell("unload_lora_adapter", lora_name="run@0.0") == 200
    assert told(str(folder)) == plain


def test_adapters_side_by_side_do_not_mix(endpoint, client, folder, adapters):
    for at, path in enumerate(adapters):
        endpoint.desk.between(lambda at=at, path=path: endpoint.weights.add(f"v{at}", path))
    names = ["v0", "v1", str(folder)] * 3

    def one(number):
        return ask(client, model=names[number], seed=number, max_tokens=25).choices[0].message.content

    alone = [one(number) for number in range(9)]
    with ThreadPoolExecutor(9) as pool:
        assert list(pool.map(one, range(9))) == alone


def test_a_checkpoint_is_served_on_its_base_under_the_name_of_its_run(adapters, folder):
    weights = opened(str(adapters[1]))
    assert weights.names == (f"{adapters[1].parent.name}@2", str(folder))


def test_an_adapter_for_another_base_is_refused_by_name(endpoint, adapters, tmp_path):
    config = json.loads((adapters[0] / "adapter_config.json").read_text()) | {"base_model_name_or_path": "some/other"}
    for file in adapters[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    headers = {"authorization": f"Bearer {endpoint.key}"}
    body = {"lora_name": "x", "lora_path": str(tmp_path)}
    answer = httpx.post(f"{endpoint.url}/load_lora_adapter", json=body, headers=headers)
    assert (answer.status_code, "is for some/other, not for" in answer.json()["error"]["message"]) == (400, True)


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
        while not (tickets := endpoint.desk.between(lambda: [each for _, some in endpoint.desk._growing.values() for each in some])):
            sleep(0.01)
    assert len(ask(client, max_tokens=5, seed=1).choices[0].message.content) == 5
    while not tickets[0].given_up:
        sleep(0.01)
    for _ in range(2):  # it is dropped in the step that comes next
        endpoint.desk.between(lambda: None)
    assert endpoint.desk.between(lambda: len(endpoint.desk._growing)) == 0
    assert len(tickets[0].row.ids) < LONG


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
        asked({"messages": user("hi"), "tools": TOOLS}, processor, model="m", context_tokens=100)


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_what_is_no_json_object_is_refused(endpoint, body):
    answer = httpx.post(f"{endpoint.url}/chat/completions", content=body, headers={"authorization": f"Bearer {endpoint.key}"})
    assert answer.status_code == 400


def test_the_command_prints_its_address_and_key_first(folder):
    with subprocess.Popen([TRAIN, "serve", folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as served:
        try:
            url, key = served.stdout.readline().split()
            with openai.OpenAI(base_url=url, api_key=key) as client:
                assert [model.id for model in client.models.list()] == [str(folder)]
        finally:
            served.terminate()


def test_an_adapter_is_a_model_of_codagents_that_ends_with_it(adapters):
    with closing(open_model(f"adapter:{adapters[0]}")) as model:
        reply = model.reply((Message("user", "which way?"),), (), Sampling(1.0, 1.0, 0, 20, 7))
    assert model._child.returncode == 0
    assert reply.policy == f"{adapters[0].parent.name}@1 text"
    trained = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base_of(adapters[0])), adapters[0])
    assert reply.tokens.logprobs == pytest.approx(recomputed(trained, reply.tokens, 1.0), abs=1e-4)


def test_a_folder_that_cannot_be_served_is_told_of_in_the_trainers_words(tmp_path):
    with closing(open_model(f"adapter:{tmp_path}")) as model, pytest.raises(ModelError, match=r"cannot be served: the folder .* be loaded"):
        model.reply((Message("user", "which way?"),), (), Sampling())


def test_a_port_in_use_and_a_folder_without_weights_end_the_command(folder, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        commands = [[TRAIN, "serve", folder, "--port", str(port)], [TRAIN, "serve", tmp_path]]
        done = [subprocess.run(command, capture_output=True, text=True, check=False, timeout=250) for command in commands]
    assert [each.returncode for each in done] == [2, 2]
    assert f"cannot listen on 127.0.0.1:{port}" in done[0].stderr
    assert f"the folder {tmp_path} cannot be loaded" in done[1].stderr
