"""What is served, and by whom: adapters that come and go, the command, codagent's own use of it; with a model of two layers."""

import json
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import openai
import pytest
from peft import PeftModel
from transformers import AutoModelForCausalLM

from codagent.errors import ModelError
from codagent.models.open import open_model
from codagent.types import Message, Sampling
from codagent_train.run_dir.weights_ref import read_base, resolve
from codagent_train.serving import vllm_server
from codagent_train.serving.adapters import open_weights
from tests.train.command import TRAIN, run_train
from tests.train.serving.asking import ask, recomputed

pytestmark = pytest.mark.usefixtures("hushed")


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
        endpoint.scheduler.run_between_steps(lambda at=at, path=path: endpoint.pool.add(f"v{at}", path))
    names = ["v0", "v1", str(folder)] * 3

    def one(number):
        return ask(client, model=names[number], seed=number, max_tokens=25).choices[0].message.content

    alone = [one(number) for number in range(9)]
    with ThreadPoolExecutor(9) as pool:
        assert list(pool.map(one, range(9))) == alone


def test_a_reply_breaks_off_when_its_adapter_is_removed_and_others_go_on(endpoint, adapters):
    scheduler, pool = endpoint.scheduler, endpoint.pool
    scheduler.run_between_steps(lambda: pool.add("v0", adapters[0]))
    sampling = Sampling(100.0, 1.0, 0, 3000, 14)  # a reply of 427 tokens
    removed = scheduler.submit("v0", (1, 2), sampling).iter_tokens(lambda: False)
    kept = scheduler.submit(pool.base, (1, 2), Sampling(1.0, 1.0, 0, 3000, 6)).iter_tokens(lambda: False)
    assert next(removed)
    assert next(kept)
    scheduler.run_between_steps(lambda: pool.drop("v0"))
    with pytest.raises(ModelError, match="the reply broke off: the model v0 is gone"):
        list(removed)
    assert next(kept)
    with pytest.raises(ModelError, match="the model v0 is gone"):
        next(scheduler.submit("v0", (1, 2), sampling).iter_tokens(lambda: False))


def test_a_checkpoint_is_served_on_its_base_under_the_name_of_its_run(adapters, folder):
    weights = open_weights(resolve(str(adapters[1])))
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


def test_the_command_prints_its_address_and_key_first(folder):
    with subprocess.Popen([TRAIN, "serve", folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as served:
        try:
            url, key = served.stdout.readline().split()
            with openai.OpenAI(base_url=url, api_key=key) as client:
                assert [model.id for model in client.models.list()] == [str(folder)]
        finally:
            served.terminate()


def test_an_adapter_is_a_model_of_codagents_that_ends_with_it_and_imports_nothing_of_the_repository(adapters, tmp_path, monkeypatch):
    (tmp_path / "threading.py").write_text("raise SystemExit('imported out of the repository')\n")
    monkeypatch.chdir(tmp_path)
    with closing(open_model(f"adapter:{adapters[0]}")) as model:
        reply = model.reply((Message("user", "which way?"),), (), Sampling(1.0, 1.0, 0, 20, 7))
    assert model._child.returncode == 0
    assert reply.policy == f"{adapters[0].parent.name}@1 text"
    trained = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(read_base(adapters[0])), adapters[0])
    assert reply.tokens.logprobs == pytest.approx(recomputed(trained, reply.tokens, 1.0), abs=1e-4)


def test_a_folder_that_cannot_be_served_is_told_of_in_the_trainers_words(tmp_path):
    with (
        closing(open_model(f"adapter:{tmp_path}")) as model,
        pytest.raises(ModelError, match=r"cannot be served: there are no weights in .*: no \*\.safetensors"),
    ):
        model.reply((Message("user", "which way?"),), (), Sampling())


def test_a_port_in_use_and_a_folder_without_weights_end_the_command(folder, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = [run_train("serve", folder, "--port", port), run_train("serve", tmp_path)]
    assert [each.returncode for each in done] == [2, 2]
    assert f"cannot listen on 127.0.0.1:{port}" in done[0].stderr
    assert f"there are no weights in {tmp_path}: no *.safetensors" in done[1].stderr


def test_without_a_gpu_vllm_is_not_taken_though_it_is_there(monkeypatch, tmp_path):
    (tmp_path / "vllm.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not vllm_server.is_available()
