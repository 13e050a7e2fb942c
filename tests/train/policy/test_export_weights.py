"""What was trained, written for use elsewhere: merged, as GGUF, and for a hub."""

import json
import shutil
from contextlib import closing
from pathlib import Path
from statistics import fmean

import pytest
import torch
from msgspec.structs import replace
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from codagent.errors import UsageError
from codagent.models.weights import catalog
from codagent.models.weights.download import weights_dir
from codagent.models.weights.embedded import Embedded
from codagent.types import Message, Profile, Sampling
from codagent_train.policy.export_weights import export_weights
from codagent_train.recipe.schema import RecordsConfig
from codagent_train.run_dir import checkpoints, metrics
from codagent_train.run_dir.weights_ref import resolve
from tests.train.command import run_train
from tests.train.serving.asking import recomputed
from tests.train.test_files import files_end_at

pytestmark = pytest.mark.usefixtures("hushed")

IDS = torch.tensor([[5, 9, 2, 7, 11]])
ASKED = Message("user", "Tell a story of a fox.")


def written(given, out, to):
    export_weights(resolve(str(given)), out, to=to, catalog_dir=weights_dir(None), say=lambda _: None)
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
    checkpoints.begin_run(out, small)
    shutil.copytree(adapters[0], out / "checkpoint-1")
    (out / "checkpoint-1" / "optimizer.pt").write_bytes(b"much")
    metrics.append(out / metrics.FILE, 1, {"reward/position_0": 0.25, "loss/total": 1.0})
    return out


def test_a_folder_for_a_hub_has_the_adapter_its_recipe_what_was_measured_and_a_card(run, folder, tmp_path):
    out = written(run, tmp_path / "hub", "hub-folder")
    names = {file.name for file in out.iterdir()}
    assert {"README.md", "adapter_config.json", "adapter_model.safetensors", "run.json", "metrics.jsonl"} <= names
    assert AutoTokenizer.from_pretrained(out).chat_template
    assert not names & {"optimizer.pt", "trainer_state.json"}
    card = (out / "README.md").read_text()
    assert card.startswith(f"---\nbase_model: {folder.name}\nbase_model_relation: adapter\nlibrary_name: peft\nlicense: unknown\n")
    assert "- steps: 1;" in card
    assert "- reward/position_0: 0.250 in the last step\n" in card
    assert json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"] == folder.name
    assert str(tmp_path) not in card
    (out / "README.md").unlink()
    dressed = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), out)
    trained = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), run / "checkpoint-1")
    assert torch.equal(logits(dressed), logits(trained))


def test_what_is_for_a_hub_names_no_place_on_this_machine(adapters, small, folder, tmp_path):
    run = tmp_path / "run"
    checkpoints.begin_run(run, replace(small, records=RecordsConfig(folders=(str(tmp_path / "loops"),))))
    shutil.copytree(adapters[0], run / "checkpoint-1")
    out = written(run, tmp_path / "hub", "hub-folder")
    told = checkpoints.load_recipe(out)
    assert (told.policy.weights, told.records.folders) == (folder.name, ("loops",))
    assert all(str(folder.parent) not in file.read_text() for file in out.glob("*.json"))


def test_of_a_checkpoint_nothing_is_told_that_was_measured_after_it(run, tmp_path):
    shutil.copytree(run / "checkpoint-1", run / "checkpoint-2")
    for step in (2, 3):
        metrics.append(run / metrics.FILE, step, {"reward/position_0": step / 4})
    for given, step in ((run / "checkpoint-1", 1), (run, 2)):
        out = written(given, tmp_path / f"hub-{step}", "hub-folder")
        assert [line["step"] for line in metrics.read(out / metrics.FILE)] == list(range(1, step + 1))
        card = (out / "README.md").read_text()
        assert f"- steps: {step};" in card
        assert f"- reward/position_0: {step / 4:.3f} in the last step\n" in card
    assert len(metrics.read(run / metrics.FILE)) == 3


def test_whole_weights_for_a_hub_say_what_their_folder_says_and_not_where_they_were(folder, tmp_path):
    weights = shutil.copytree(folder, tmp_path / "weights")
    (weights / "README.md").write_text("---\ntags: [a]\nlicense: mit\n---\nlicense: none\n")
    (weights / "LICENSE").write_text("Do as you like.")
    card = {"source": str(tmp_path / "gone.gguf"), "weights": "", "tokenizer": "", "recorded": "gone#0123456789abcdef"}
    (weights / "codagent.json").write_text(json.dumps(card))
    out = written(weights, tmp_path / "hub", "hub-folder")
    said = (out / "README.md").read_text()
    assert said.startswith("---\nbase_model: gone.gguf\nbase_model_relation: finetune\nlibrary_name: transformers\nlicense: mit\n")
    assert "run.json" not in said
    assert (out / "LICENSE").read_text() == "Do as you like."
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(out)), logits(AutoModelForCausalLM.from_pretrained(folder)))
    assert [file.name for file in out.iterdir() if str(tmp_path).encode() in file.read_bytes()] == []


@pytest.fixture(scope="module")
def imported(smol, tmp_path_factory):
    """The smallest model of the catalogue as a folder, and an adapter on it that changes what it says."""
    adapter = tmp_path_factory.mktemp("adapter") / "checkpoint-1"
    torch.manual_seed(0)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(smol), LoraConfig(r=2, target_modules="all-linear"))
    for name, each in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(each, std=0.05)
    model.save_pretrained(adapter)
    return smol, adapter


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
    entry = catalog.find_entry("smollm2-135m")
    assert f"base_model: {entry.repository}\n" in card
    assert f"license: {entry.licence.lower()}\n" in card
    assert "`codagent-train import smollm2-135m --out base`" in card


def test_weights_that_were_never_gguf_cannot_become_it(adapters, tmp_path):
    with pytest.raises(UsageError, match="was not imported from a GGUF file, so it cannot be written as one; take --to merged"):
        written(adapters[0], tmp_path / "x.gguf", "gguf")
    assert list(tmp_path.iterdir()) == []


def test_a_gguf_file_that_is_another_by_now_is_refused(folder, tmp_path):
    weights = shutil.copytree(folder, tmp_path / "weights")
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    card = {"source": str(tmp_path / "a.gguf"), "weights": "", "tokenizer": "", "recorded": "a#0123456789abcdef"}
    (weights / "codagent.json").write_text(json.dumps(card))
    with pytest.raises(UsageError, match=r"a\.gguf has changed since"):
        written(weights, tmp_path / "x.gguf", "gguf")
    (tmp_path / "a.gguf").unlink()
    with pytest.raises(UsageError, match=r"a\.gguf, which .* was imported from, is not there"):
        written(weights, tmp_path / "x.gguf", "gguf")


def damaged(adapters, at, what):
    """The adapter as it cannot be put on its base."""
    shutil.copytree(adapters[0], at)
    config, weights = at / "adapter_config.json", at / "adapter_model.safetensors"
    if what == "cut off":
        weights.write_bytes(weights.read_bytes()[:300])
    else:
        config.write_text(json.dumps(json.loads(config.read_text()) | what))
    return at


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("cut off", r"adapter_model\.safetensors cannot be read: .*; give another checkpoint"),
        ({"r": 2}, r"adapter cannot be put on .*; give another checkpoint"),
        ({"peft_type": "NONE"}, r"adapter cannot be put on .*; give another checkpoint"),
    ],
)
def test_an_adapter_that_does_not_fit_is_told_as_that(what, told, adapters, tmp_path):
    given = damaged(adapters, tmp_path / "adapter", what)
    with pytest.raises(UsageError, match=told):
        written(given, tmp_path / "out", "merged")
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_weights_that_were_cut_off_are_not_made_ready_for_a_hub(adapters, tmp_path):
    given = damaged(adapters, tmp_path / "adapter", "cut off")
    with pytest.raises(UsageError, match=r"adapter_model\.safetensors cannot be read: .*; give another checkpoint"):
        written(given, tmp_path / "out", "hub-folder")
    (given / "adapter_model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"no adapter_model\.safetensors"):
        written(given, tmp_path / "out", "hub-folder")
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


@pytest.mark.parametrize("to", ["merged", "gguf", "hub-folder"])
def test_a_folder_that_is_not_there_is_told(to, tmp_path):
    with pytest.raises(UsageError, match=r"there is no folder .*gone; give a run, a checkpoint, an adapter, a folder of weights, or"):
        written(tmp_path / "gone", tmp_path / "out", to)


@pytest.mark.parametrize("to", ["merged", "hub-folder"])
def test_a_disk_that_is_full_leaves_no_half_a_folder(to, adapters, tmp_path):
    with files_end_at(8000), pytest.raises(UsageError, match=r"cannot be written: .*; make room or give another --out"):
        written(adapters[0], tmp_path / "out", to)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_made_and_ends_with_2_when_it_cannot(adapters, tmp_path):
    def command(out):
        return run_train("export", adapters[0], "--to", "hub-folder", "--out", out)

    done, again = command(tmp_path / "hub"), command(tmp_path / "hub")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'hub'}\n")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == f"codagent-train: {tmp_path / 'hub'} exists and is not empty; give another --out\n"


def test_what_is_there_already_is_left_alone_and_what_breaks_off_leaves_nothing(adapters, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    with pytest.raises(UsageError, match="exists and is not empty"):
        written(adapters[0], tmp_path / "full", "merged")
    with pytest.raises(UsageError, match="cannot be written"):
        written(adapters[0], Path("/proc/nowhere/merged"), "merged")
    assert {path.name for path in tmp_path.iterdir()} == {"full"}
