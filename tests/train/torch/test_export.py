"""What was trained, written for use elsewhere: merged, as GGUF, and for a hub."""

import json
import shutil
from contextlib import closing
from pathlib import Path
from statistics import fmean

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from codagent.errors import UsageError
from codagent.models import catalog
from codagent.models.download import weights_dir
from codagent.models.embedded import Embedded
from codagent.types import Message, Profile, Sampling
from codagent_train import checkpoint, metrics
from codagent_train.export import export
from codagent_train.importing import import_model
from tests.train.torch.asking import recomputed

IDS = torch.tensor([[5, 9, 2, 7, 11]])
ASKED = Message("user", "Tell a story of a fox.")


def written(given, out, to):
    export(str(given), out, to=to, pulled=weights_dir(None), say=lambda _: None)
    return out


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits


def test_merged_weights_are_the_base_with_its_adapter(adapters, folder, tmp_path):
    merged = AutoModelForCausalLM.from_pretrained(written(adapters[0], tmp_path / "merged", "merged"))
    dressed = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), adapters[0])
    assert (logits(merged) - logits(dressed)).abs().max() < 1e-5
    assert (logits(merged) - logits(AutoModelForCausalLM.from_pretrained(folder))).abs().max() > 0.1
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").chat_template


@pytest.fixture
def run(adapters, small, tmp_path):
    """A run with a checkpoint that is an adapter, and with what was measured."""
    out = tmp_path / "run"
    checkpoint.begin(out, small)
    shutil.copytree(adapters[0], out / "checkpoint-1")
    (out / "checkpoint-1" / "optimizer.pt").write_bytes(b"much")
    metrics.write(out / metrics.FILE, 1, {"reward/position_0": 0.25, "loss/total": 1.0})
    return out


def test_a_folder_for_a_hub_has_the_adapter_its_recipe_what_was_measured_and_a_card(run, folder, tmp_path):
    out = written(run, tmp_path / "hub", "hub-folder")
    names = {file.name for file in out.iterdir()}
    assert {"README.md", "adapter_config.json", "adapter_model.safetensors", "run.json", "metrics.jsonl"} <= names
    assert not names & {"optimizer.pt", "trainer_state.json"}
    card = (out / "README.md").read_text()
    assert card.startswith(f"---\nbase_model: {folder.name}\nbase_model_relation: adapter\nlibrary_name: peft\nlicense: unknown\n")
    assert "- steps: 1;" in card
    assert "- reward/position_0: 0.250 in the last step\n" in card
    assert json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"] == folder.name
    assert str(tmp_path) not in card


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """The smallest model of the catalogue as a folder, and an adapter on it that changes what it says."""
    base = tmp_path_factory.mktemp("imported") / "smol"
    import_model("smollm2-135m", base, weights=weights_dir(None), progress=lambda *_: None, say=lambda _: None)
    torch.manual_seed(0)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, target_modules="all-linear"))
    for name, each in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(each, std=0.05)
    model.save_pretrained(base.parent / "checkpoint-1")
    return base, base.parent / "checkpoint-1"


def test_a_gguf_file_answers_as_the_trained_weights_do(imported, tmp_path):
    base, adapter = imported
    file = written(adapter, tmp_path / "trained.gguf", "gguf")
    with closing(Embedded("gguf", file, profile=Profile(calling="text", context_tokens=512))) as model:
        tokens = model.reply((ASKED,), (), Sampling(1.0, 1.0, 0, 40, 3)).tokens
    plain = AutoModelForCausalLM.from_pretrained(base)
    trained = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    far, farther = (
        [abs(mine - theirs) for mine, theirs in zip(recomputed(each, tokens, 1.0), tokens.logprobs, strict=True)]
        for each in (trained, plain)
    )
    assert fmean(far) < 0.01
    assert max(far) < 0.1
    assert fmean(farther) > 10 * fmean(far)


def test_the_licence_is_the_bases_where_it_is_known(imported, tmp_path):
    card = (written(imported[1], tmp_path / "hub", "hub-folder") / "README.md").read_text()
    entry = catalog.entry_named("smollm2-135m")
    assert f"base_model: {entry.repository}\n" in card
    assert f"license: {entry.licence.lower()}\n" in card


def test_weights_that_were_never_gguf_cannot_become_it(adapters, tmp_path):
    with pytest.raises(UsageError, match="was not imported from a GGUF file, so there is none to write another after; take --to merged"):
        written(adapters[0], tmp_path / "x.gguf", "gguf")
    assert list(tmp_path.iterdir()) == []


def test_a_gguf_file_that_is_another_by_now_is_refused(folder, tmp_path):
    weights = shutil.copytree(folder, tmp_path / "weights")
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    card = {"source": str(tmp_path / "a.gguf"), "weights": "", "tokenizer": "", "recorded": "a#0123456789abcdef"}
    (weights / "codagent.json").write_text(json.dumps(card))
    with pytest.raises(UsageError, match=r"a\.gguf is not the file any more that"):
        written(weights, tmp_path / "x.gguf", "gguf")
    (tmp_path / "a.gguf").unlink()
    with pytest.raises(UsageError, match=r"a\.gguf, which .* was imported from, is not there"):
        written(weights, tmp_path / "x.gguf", "gguf")


def test_what_is_there_already_is_left_alone_and_what_breaks_off_leaves_nothing(adapters, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    with pytest.raises(UsageError, match="is there and not empty"):
        written(adapters[0], tmp_path / "full", "merged")
    with pytest.raises(UsageError, match="cannot be written"):
        written(adapters[0], Path("/proc/nowhere/merged"), "merged")
    assert {path.name for path in tmp_path.iterdir()} == {"full"}
