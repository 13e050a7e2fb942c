"""Folders made of GGUF files and of other folders; the smallest model of the catalogue stands for what quantised weights are."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from codagent.errors import UsageError
from codagent.models.weights import catalog
from codagent.models.weights.download import weights_dir
from codagent.models.weights.embedded import name_weights
from codagent_train.policy import load
from codagent_train.policy.import_weights import CARD_FILE, ImportCard, check_room, fingerprint, import_model
from tests.train.command import run_train

pytestmark = pytest.mark.usefixtures("hushed")

WEIGHTS = weights_dir(os.environ.get("XDG_CACHE_HOME"))
SMOL = catalog.find_entry("smollm2-135m")
TEMPLATE = "{% for message in messages %}{{ message['content'] }} {% endfor %}"


def taken(source: object, out: Path) -> ImportCard:
    return import_model(str(source), out, weights=WEIGHTS, progress=lambda *_: None, say=lambda _: None)


def refused(source: object, out: Path) -> str:
    with pytest.raises(UsageError) as error:
        taken(source, out)
    assert list(out.parent.glob(".*.unfinished")) == []
    return str(error.value)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder with two random layers and a tokenizer that can chat."""
    made = load.make_tiny()
    made.processor.chat_template = TEMPLATE
    made.model.save_pretrained(tmp_path / "tiny")
    made.processor.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_folder_comes_out_as_it_went_in(tiny: Path, tmp_path: Path) -> None:
    card = taken(tiny, tmp_path / "out")
    before, after = (AutoModelForCausalLM.from_pretrained(folder).state_dict() for folder in (tiny, tmp_path / "out"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert AutoTokenizer.from_pretrained(tmp_path / "out").chat_template == TEMPLATE
    assert card.weights == hashlib.sha256((tiny / "model.safetensors").read_bytes()).hexdigest()
    assert json.loads((tmp_path / "out" / CARD_FILE).read_text()) == {
        "source": str(tiny),
        "weights": card.weights,
        "tokenizer": card.tokenizer,
    }


def test_a_fingerprint_is_the_tokenizers_and_not_its_uses(tiny: Path) -> None:
    tokenizer, other = AutoTokenizer.from_pretrained(tiny), AutoTokenizer.from_pretrained(tiny)
    tokenizer(["key-a", "key-a key-b"], padding="max_length", max_length=4, truncation=True)
    assert fingerprint(tokenizer) == fingerprint(other)
    other.add_tokens(["key-z"])
    assert fingerprint(tokenizer) != fingerprint(other)


def test_a_catalogue_entry_becomes_plain_weights(smol: Path) -> None:
    card = json.loads((smol / CARD_FILE).read_text())
    model, tokenizer = AutoModelForCausalLM.from_pretrained(smol), AutoTokenizer.from_pretrained(smol)
    assert SMOL
    assert card["weights"] == SMOL.sha256
    assert card["tokenizer"] == fingerprint(tokenizer)
    assert card["recorded"] == name_weights(WEIGHTS / SMOL.file)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert sum(parameter.numel() for parameter in model.parameters()) == 134_515_008
    assert "quantization_config" not in json.loads((smol / "config.json").read_text())


def test_what_came_out_of_gguf_answers(smol: Path) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(smol), AutoTokenizer.from_pretrained(smol)
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    said = model.generate(**prompt, max_new_tokens=12, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(said)


def test_the_command_says_where_the_folder_is(tiny: Path, tmp_path: Path) -> None:
    done = run_train("import", tiny, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'out'}\n"
    assert done.stderr.splitlines() == [f"codagent-train: reading {tiny}", f"codagent-train: writing {tmp_path / 'out'}"]


def test_a_hub_that_cannot_be_reached_is_said(tmp_path: Path) -> None:
    done = run_train("import", "nobody/nothing", "--out", tmp_path / "out", HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hub"))
    assert done.returncode == 2
    assert "nobody/nothing cannot be fetched from the hub" in done.stderr


def test_what_is_there_is_not_overwritten(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    assert "exists and is not empty" in refused(tiny, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_an_empty_folder_is_filled(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    taken(tiny, tmp_path / "out")
    assert (tmp_path / "out" / CARD_FILE).exists()


@pytest.mark.parametrize(("source", "told"), [("gone.gguf", "no file"), ("gone", "no model"), ("./gone", "no model")])
def test_what_is_not_there_is_said(source: str, told: str, tmp_path: Path) -> None:
    assert told in refused(source, tmp_path / "out")


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no weights" in refused(tmp_path / "empty", tmp_path / "out")


def test_a_tokenizer_without_chat_template_is_refused(tiny: Path, tmp_path: Path) -> None:
    (tiny / "chat_template.jinja").unlink()
    assert "no chat template" in refused(tiny, tmp_path / "out")


@pytest.mark.parametrize("text", [b"", b"not weights at all", b"GGUF" + bytes(12)])
def test_a_damaged_gguf_file_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(text)
    assert "bad.gguf cannot be loaded" in refused(tmp_path / "bad.gguf", tmp_path / "out")


def test_weights_that_were_cut_off_are_refused(tiny: Path, tmp_path: Path) -> None:
    file = tiny / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    assert "cannot be loaded" in refused(tiny, tmp_path / "out")


def test_a_disk_that_is_too_small_is_told_with_the_numbers(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the weights take 1,000,000,000\.0 GB and .* has [\d,.]+ GB free"):
        check_room(tmp_path, 10**18)


def test_what_a_killed_import_left_is_in_nobodys_way(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / ".out.unfinished").mkdir()
    (tmp_path / ".out.unfinished" / "model.safetensors").write_bytes(b"half")
    taken(tiny, tmp_path / "out")
    assert not (tmp_path / ".out.unfinished").exists()
