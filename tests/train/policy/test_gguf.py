"""GGUF files of the kinds that are written, at two layers, with a real tokenizer: out of one, and into one that llama.cpp runs."""

import json
import shutil
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter, LlamaFileType
from peft import PeftModel
from transformers import AutoModelForCausalLM

from codagent.errors import UsageError
from codagent.models.weights.embedded import Embedded, name_weights
from codagent_train.policy import gguf
from tests.train.policy.tiny_gguf import ALIGNMENT, HEADS, INNER, KEYS, LAYERS, PROFILE, WIDTH, one_kind, reply, save_gguf, written
from tests.train.serving.asking import recomputed
from tests.train.test_files import files_end_at

pytestmark = pytest.mark.usefixtures("hushed")


def test_weights_that_did_not_change_come_out_as_they_went_in(imported, tmp_path):
    before, after = (GGUFReader(file) for file in (imported / "tiny.gguf", written(imported / "base", tmp_path / "same.gguf")))
    assert {tensor.name for tensor in before.tensors} == {tensor.name for tensor in after.tensors}
    numbers = {tensor.name: tensor.data for tensor in before.tensors}
    assert all(np.array_equal(numbers[tensor.name], tensor.data) for tensor in after.tensors)
    told, again = ({name: field.contents() for name, field in each.fields.items() if name[:5] != "GGUF."} for each in (before, after))
    assert again == told | {"general.file_type": LlamaFileType.MOSTLY_F16.value}
    assert (before.alignment, after.alignment) == (ALIGNMENT, ALIGNMENT)


def test_llama_cpp_answers_as_the_trained_weights_do(imported, tmp_path):
    file = written(imported / "checkpoint-1", tmp_path / "trained.gguf")
    tokens = reply(Embedded("gguf", file, profile=PROFILE)).tokens
    plain = AutoModelForCausalLM.from_pretrained(imported / "base")
    trained = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(imported / "base"), imported / "checkpoint-1")
    far, farther = (
        [abs(mine - theirs) for mine, theirs in zip(recomputed(each, tokens, 1.0), tokens.logprobs, strict=True)]
        for each in (trained, plain)
    )
    assert fmean(far) < 0.01
    assert fmean(farther) > 10 * fmean(far)


@one_kind
def test_a_licence_that_only_the_file_tells_is_told(imported, tmp_path):
    out = written(imported / "checkpoint-1", tmp_path / "hub", "hub-folder")
    assert "base_model: tiny.gguf\n" in (out / "README.md").read_text()
    assert "license: mit\n" in (out / "README.md").read_text()


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A GGUF file, and what is in it, by the names of transformers."""
    at = tmp_path_factory.mktemp("llama")
    save_gguf(at / "tiny.gguf", "llama")
    names = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    theirs = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_output": "self_attn.o_proj"}
    theirs |= {f"attn_{each}": f"self_attn.{each}_proj" for each in "qkv"} | {f"ffn_{each}": f"mlp.{each}_proj" for each in ("gate", "up")}
    theirs |= {"ffn_down": "mlp.down_proj"}
    for layer in range(LAYERS):
        names |= {f"blk.{layer}.{name}.weight": f"model.layers.{layer}.{theirs[name]}.weight" for name in theirs}
    weights = {names[tensor.name]: np.array(tensor.data, np.float32) for tensor in GGUFReader(at / "tiny.gguf").tensors}
    return at / "tiny.gguf", weights


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model.norm.weight": np.ones(3)}, r"output_norm.weight has shape \(64,\) there and \(3,\) here"),
        ({"model.layers.1.mlp.up_proj.weight": np.full((INNER, WIDTH), 1e6, np.float32)}, "blk.1.ffn_up.weight has numbers that float16"),
        ({"model.norm.weight": np.full(WIDTH, np.nan, np.float32)}, "output_norm.weight has numbers"),
        ({"lm_head.weight": np.ones((3, WIDTH))}, "has no tensor output.weight"),
        ({"model.layers.0.self_attn.q_proj.bias": np.ones(WIDTH)}, "has no tensor blk.0.attn_q.bias"),
        ({"model.layers.0.odd": np.ones(WIDTH)}, "has no tensor model.layers.0.odd"),
    ],
)
def test_weights_that_do_not_fit_the_file_are_refused(change, why, llama, tmp_path):
    template, weights = llama
    with pytest.raises(UsageError, match=why):
        gguf.write_gguf(tmp_path / "out.gguf", weights | change, template=template, heads=(HEADS, KEYS))


def test_kinds_that_are_not_known_and_files_that_are_no_gguf_are_refused(tmp_path):
    writer = GGUFWriter(tmp_path / "other.gguf", "gpt2")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(12))
    for name, why in (("other", "models of the kind gpt2 cannot be written as GGUF"), ("bad", "not a GGUF file that can be read")):
        with pytest.raises(UsageError, match=why):
            gguf.write_gguf(tmp_path / "out.gguf", {}, template=tmp_path / f"{name}.gguf", heads=(1, 1))


@one_kind
def test_a_disk_that_is_full_leaves_no_half_a_file(imported, tmp_path):
    with files_end_at(100_000), pytest.raises(UsageError, match=r"cannot be written: .*; make room"):
        written(imported / "base", tmp_path / "x.gguf")
    assert list(tmp_path.iterdir()) == []


@one_kind
def test_a_folder_is_no_place_for_a_file(imported, tmp_path):
    with pytest.raises(UsageError, match="is a folder, and a GGUF is one file"):
        written(imported / "base", tmp_path)


@one_kind
def test_what_is_named_by_a_file_that_became_another_is_refused(imported, tmp_path):
    base = shutil.copytree(imported / "base", tmp_path / "base")
    card = json.loads((base / "codagent.json").read_text())
    assert card["recorded"] == name_weights(Path(card["source"]))
    shutil.copy(card["source"], tmp_path / "tiny.gguf")
    with (tmp_path / "tiny.gguf").open("r+b") as file:
        file.write(b"GGUX")
    (base / "codagent.json").write_text(json.dumps(card | {"source": str(tmp_path / "tiny.gguf")}))
    with pytest.raises(UsageError, match=r"tiny\.gguf has changed since"):
        written(base, tmp_path / "x.gguf")
