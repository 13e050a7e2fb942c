"""Adapters as GGUF files, put on the quantised base by llama.cpp."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
import torch
from msgspec import structs
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from codagent.errors import UsageError
from codagent.models.open import find_adapter, open_model, profile_for
from codagent.models.weights import llama_adapter
from codagent.models.weights.embedded import Embedded
from codagent_train.recipe.schema import read_recipe
from codagent_train.run_dir.checkpoints import begin_run
from tests.train.policy.tiny_gguf import PROFILE, one_kind, reply, written
from tests.train.serving.asking import recomputed

TOY = read_recipe("toy")
pytestmark = pytest.mark.usefixtures("hushed")


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr(llama_adapter, "_NVIDIA", Path("/nowhere"))


def distances(tokens, base, adapter=None):
    """How far the recorded logprobs are from those that transformers computes."""
    model = AutoModelForCausalLM.from_pretrained(base)
    model = PeftModel.from_pretrained(model, adapter) if adapter else model
    return [abs(mine - theirs) for mine, theirs in zip(recomputed(model, tokens, 1.0), tokens.logprobs, strict=True)]


def test_llama_cpp_answers_with_the_adapter_as_the_trained_weights_do(imported, tmp_path):
    adapter = llama_adapter.read_adapter(written(imported / "checkpoint-1", tmp_path / "a.gguf", "gguf-adapter"))
    base = adapter.find_base(tmp_path)
    assert base == imported / "tiny.gguf"
    tokens = reply(Embedded("x", base, profile=PROFILE, adapter=(adapter.file, adapter.policy))).tokens
    far, farther = distances(tokens, imported / "base", imported / "checkpoint-1"), distances(tokens, imported / "base")
    assert fmean(far) < 0.01
    assert fmean(farther) > 10 * fmean(far)


@one_kind
def test_layers_with_an_alpha_and_a_rank_of_their_own_are_scaled_as_peft_does(imported, tmp_path):
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=2, target_modules=["q_proj", "up_proj"], use_rslora=True)
    config.alpha_pattern, config.rank_pattern = {"up_proj": 12}, {"up_proj": 8}
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(imported / "base"), config)
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.3)
    model.save_pretrained(tmp_path / "checkpoint-2")
    adapter = llama_adapter.read_adapter(written(tmp_path / "checkpoint-2", tmp_path / "a.gguf", "gguf-adapter"))
    tokens = reply(Embedded("x", imported / "tiny.gguf", profile=PROFILE, adapter=(adapter.file, "x"))).tokens
    assert fmean(distances(tokens, imported / "base", tmp_path / "checkpoint-2")) < 0.01


@one_kind
def test_a_run_is_converted_once_and_opened_in_llama_cpp(imported, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    spec = f"adapter:{imported / 'checkpoint-1'}"
    adapter = find_adapter(spec)
    assert not isinstance(adapter, str), adapter
    assert adapter.file.parent == tmp_path / "codagent" / "models" / "adapters"
    answer = reply(open_model(spec, profile=PROFILE))
    assert answer.policy == f"{imported.name}@1 text"
    assert llama_adapter.list_adapters(tmp_path / "codagent" / "models") == [adapter]
    made = adapter.file.stat().st_mtime_ns
    llama_adapter.find_adapter.cache_clear()
    assert find_adapter(spec) == adapter
    assert adapter.file.stat().st_mtime_ns == made


@one_kind
def test_where_there_is_a_gpu_transformers_serves_a_run_as_its_base_is_best_worked_with(imported, tmp_path, monkeypatch):
    monkeypatch.setattr(llama_adapter, "_NVIDIA", tmp_path)
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2.13.0+cu130")
    run = Path(shutil.copytree(imported / "checkpoint-1", tmp_path / "checkpoint-3"))
    assert find_adapter(f"adapter:{run}") == "there is a GPU"
    assert profile_for(f"adapter:{run}").memory is None  # nothing is known of its base
    base = Path(shutil.copytree(imported / "base", tmp_path / "base"))
    settings, card = (json.loads(file.read_text()) for file in (run / "adapter_config.json", base / "codagent.json"))
    (base / "codagent.json").write_text(json.dumps(card | {"source": "smollm2-135m"}))
    (run / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": str(base)}))
    assert profile_for(f"adapter:{run}") == profile_for(f"adapter:{base}") == profile_for("embedded:smollm2-135m")


@one_kind
@pytest.mark.parametrize(
    ("answers", "tools", "temperature"), [("lines", ("replace", "finish"), 0.3), ("functions", ("define", "write", "finish"), 0.7)]
)
def test_an_adapter_is_asked_as_it_learned_to_answer(imported, tmp_path, monkeypatch, answers, tools, temperature):
    run = Path(shutil.copytree(imported, tmp_path / "run"))
    begin_run(run, structs.replace(TOY, policy=structs.replace(TOY.policy, weights=str(imported / "base"), answers=answers)))
    card = json.loads((imported / "base/codagent.json").read_text())
    adapter = llama_adapter.read_adapter(written(run / "checkpoint-1", tmp_path / "a.gguf", "gguf-adapter"))
    assert adapter.answers == answers
    monkeypatch.setattr(llama_adapter, "_read_card", lambda _: card | {"source": "smollm2-135m"})
    assert replace(adapter, source="smollm2-135m").profile == llama_adapter.find_profile(run)
    profile = llama_adapter.find_profile(run)
    assert (profile.tools, profile.sampling.temperature) == (tools, temperature)


@one_kind
def test_an_adapter_of_other_dimensions_is_refused(imported, tmp_path):
    folder = Path(shutil.copytree(imported / "checkpoint-1", tmp_path / "checkpoint-1"))
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    name = next(name for name in tensors if name.endswith("up_proj.lora_B.weight"))
    save_file(tensors | {name: torch.zeros(len(tensors[name]) + 8, tensors[name].shape[1])}, file)
    with pytest.raises(
        UsageError, match=r"other dimensions than its base: model\.layers\.\d\.mlp\.up_proj is \(136, 64\), not \(128, 64\)"
    ):
        written(folder, tmp_path / "a.gguf", "gguf-adapter")
    assert not (tmp_path / "a.gguf").exists()


@one_kind
def test_an_adapter_with_a_layer_that_its_base_lacks_is_refused(imported, tmp_path):
    folder = Path(shutil.copytree(imported / "checkpoint-1", tmp_path / "checkpoint-1"))
    file = folder / "adapter_model.safetensors"
    save_file({name.replace("layers.1", "layers.7"): tensor for name, tensor in load_file(file).items()}, file)
    with pytest.raises(UsageError, match=r"model\.layers\.7\..*which the GGUF of its base does not have"):
        written(folder, tmp_path / "a.gguf", "gguf-adapter")


@one_kind
def test_an_adapter_of_another_base_is_refused(imported, tmp_path):
    adapter = llama_adapter.read_adapter(written(imported / "checkpoint-1", tmp_path / "a.gguf", "gguf-adapter"))
    other = tmp_path / "tiny.gguf"
    shutil.copy(imported / "tiny.gguf", other)
    with other.open("r+b") as file:
        file.seek(-8, 2)
        file.write(bytes(range(8)))
    with pytest.raises(UsageError, match=r"belongs to the base tiny#\w+, and .*tiny\.gguf is another"):
        llama_adapter.LlamaAdapter(adapter.file, adapter.base, str(other), "x", "").find_base(tmp_path)
    with pytest.raises(UsageError, match=r"gone\.gguf, the base of the adapter a\.gguf, is not there"):
        llama_adapter.LlamaAdapter(adapter.file, adapter.base, str(tmp_path / "gone.gguf"), "x", "").find_base(tmp_path)


@one_kind
def test_weights_that_are_no_adapter_are_not_written_as_one(imported, tmp_path):
    with pytest.raises(UsageError, match="base is not an adapter on weights that were imported from a GGUF file"):
        written(imported / "base", tmp_path / "a.gguf", "gguf-adapter")


@one_kind
def test_what_cannot_go_to_llama_cpp_is_told(imported, tmp_path, adapters):
    assert find_adapter(f"adapter:{imported / 'base'}") == "it is not an adapter"
    assert find_adapter(f"adapter:{adapters[0]}") == "its base was not imported from a GGUF file"
    moved = Path(shutil.copytree(imported / "checkpoint-1", tmp_path / "checkpoint-9"))
    settings = json.loads((moved / "adapter_config.json").read_text())
    base = Path(shutil.copytree(imported / "base", tmp_path / "base"))
    card = json.loads((base / "codagent.json").read_text())
    (base / "codagent.json").write_text(json.dumps(card | {"source": str(tmp_path / "gone.gguf")}))
    (moved / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": str(base)}))
    reason = find_adapter(f"adapter:{moved}")
    assert isinstance(reason, str)
    assert "gone.gguf" in reason
