"""Adapters that are damaged, foreign, or made to harm: each is refused to whoever asked for it, and everybody else is served as before."""

import json
import os
import shutil

import httpx
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tests.train.doubles.characters import made
from tests.train.serving.asking import ask

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"


def configured(**settings):
    def change(folder):
        said = json.loads((folder / CONFIG).read_text()) | settings
        (folder / CONFIG).write_text(json.dumps(said))

    return change


def written(file, data):
    return lambda folder: (folder / file).write_bytes(data)


def tensors(change):
    def spoil(folder):
        changed = change(load_file(folder / TENSORS))
        save_file({name: value.contiguous() for name, value in changed.items()}, folder / TENSORS)

    return spoil


def replaced(file, make):
    def change(folder):
        (folder / file).unlink()
        make(folder / file)

    return change


def cut(folder):
    data = (folder / TENSORS).read_bytes()
    (folder / TENSORS).write_bytes(data[: len(data) // 2])


def wider(folder):
    """An adapter of a model that has twice as many dimensions."""
    base = json.loads((folder / CONFIG).read_text())["base_model_name_or_path"]
    config = made()[0].config
    config.hidden_size *= 2
    get_peft_model(AutoModelForCausalLM.from_config(config), LoraConfig(r=4, target_modules="all-linear")).save_pretrained(folder)
    configured(base_model_name_or_path=base)(folder)


NAMED = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
BAD = {
    "cut off": cut,
    "empty tensors": written(TENSORS, b""),
    "one letter": written(TENSORS, b"x"),
    "a pickle": lambda folder: torch.save({"x": print}, folder / TENSORS),
    "a pickle beside": lambda folder: (torch.save({"x": print}, folder / "adapter_model.bin"), (folder / TENSORS).unlink()),
    "a head without end": written(TENSORS, b"\xff" * 7 + b"\x00" + b"{" * 1000),
    "no tensors": tensors(lambda _: {}),
    "a tensor of the base": tensors(lambda given: given | {"base_model.model.model.embed_tokens.weight": torch.zeros(106, 32)}),
    "half a pair": tensors(lambda given: {name: value for name, value in given.items() if name != NAMED}),
    "a layer that is not there": tensors(lambda given: {name.replace("q_proj", "x_proj"): value for name, value in given.items()}),
    "another rank": tensors(lambda given: {name: value[:2] if "lora_A" in name else value[:, :2] for name, value in given.items()}),
    "three dimensions": tensors(lambda given: given | {NAMED: torch.zeros(4, 32, 1)}),
    "the wrong sizes": tensors(lambda given: given | {NAMED: torch.zeros(4, 7)}),
    "for other dimensions": wider,
    "tensors from a pipe": replaced(TENSORS, os.mkfifo),
    "tensors from a device": replaced(TENSORS, lambda file: file.symlink_to("/dev/zero")),
    "tensors in a folder": replaced(TENSORS, lambda file: file.mkdir()),
    "settings from a pipe": replaced(CONFIG, os.mkfifo),
    "settings from a device": replaced(CONFIG, lambda file: file.symlink_to("/dev/zero")),
    "settings that lead to themselves": replaced(CONFIG, lambda file: file.symlink_to(file)),
    "empty settings": written(CONFIG, b""),
    "a list": written(CONFIG, b"[]"),
    "deep settings": written(CONFIG, b"[" * 50_000 + b"]" * 50_000),
    "bytes": written(CONFIG, b"\xff\xfe\x00\xd8"),
    "a long number": written(CONFIG, b'{"r": ' + b"1" * 5001 + b"}"),
    "nothing in the folder": lambda folder: [file.unlink() for file in folder.iterdir()],
    "a file for a folder": lambda folder: (shutil.rmtree(folder), folder.touch()),
    "no folder": shutil.rmtree,
    "an unknown kind": configured(peft_type="X"),
    "a kind that is no text": configured(peft_type=["LORA"]),
    "another kind": configured(peft_type="PROMPT_TUNING", num_virtual_tokens=5),
    "a base that is no text": configured(base_model_name_or_path=5),
    "a base of NUL": configured(base_model_name_or_path="a\0b"),
    "a base without end": configured(base_model_name_or_path="a" * 5000),
    "itself as base": lambda folder: configured(base_model_name_or_path=str(folder))(folder),
    "a rank of text": configured(r="x"),
    "a rank of 0": configured(r=0),
    "a rank of a thousand million": configured(r=10**9),
    "an alpha of text": configured(lora_alpha="x"),
    "an alpha of infinity": configured(lora_alpha=float("inf")),
    "patterns that are a list": configured(alpha_pattern=["x"]),
    "a pattern without end": configured(alpha_pattern={"(.+)+x\\d": 2}),
    "an alpha beyond measure": configured(lora_alpha=1e308),
    "NaN": tensors(lambda given: {name: value * torch.nan for name, value in given.items()}),
    "infinity": tensors(lambda given: given | {NAMED: given[NAMED] + torch.inf}),
    "a start that changes the base": configured(init_lora_weights="pissa"),
    "other layers": configured(layer_replication=[[0, 2], [0, 2]]),
    "biases": configured(bias="all"),
    "modules of its own": configured(modules_to_save=["lm_head"]),
    "a module to import": configured(megatron_config={"x": 1}, megatron_core="antigravity"),
}


@pytest.fixture
def load(endpoint):
    def asked(name, path):
        headers, body = {"authorization": f"Bearer {endpoint.key}"}, {"lora_name": name, "lora_path": str(path)}
        return httpx.post(f"{endpoint.url}/load_lora_adapter", json=body, headers=headers, timeout=200)

    return asked


def test_each_is_refused_in_a_sentence_and_all_others_are_served_as_before(endpoint, client, adapters, load, tmp_path):
    def told(model):
        return ask(client, model=model, seed=5, max_tokens=20).choices[0].message.content

    base = endpoint.pool.base
    before = {base: told(base)}
    for there in ((), ("good",)):
        for name in there:
            assert load(name, adapters[0]).status_code == 200
            before[name] = told(name)
        for name, spoil in BAD.items():
            bad = shutil.copytree(adapters[1], tmp_path / f"{name}, beside {there}")
            spoil(bad)
            answer = load("bad", bad)
            assert (name, answer.status_code) == (name, 400)
            assert len(answer.json()["error"]["message"].splitlines()) == 1
            assert (name, endpoint.pool.names) == (name, (*there, base))
            assert (name, {model: told(model) for model in before}) == (name, before)
    assert load("v2", adapters[1]).status_code == 200
    assert len({*before.values(), told("v2")}) == 3


def test_the_place_of_an_adapter_is_taken_from_its_tensors_and_not_from_expressions(endpoint, client, adapters, load, tmp_path):
    odd = shutil.copytree(adapters[0], tmp_path / "odd")
    configured(target_modules="(.+)+x\\d", exclude_modules="(.+)+x\\d")(odd)
    assert [load("plain", adapters[0]).status_code, load("odd", odd).status_code] == [200, 200]
    said = [ask(client, model=model, seed=5, max_tokens=20).choices[0].message.content for model in ("plain", "odd")]
    assert said[0] == said[1]
