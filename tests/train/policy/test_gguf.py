"""GGUF files of the kinds that are written, at two layers, with a real tokenizer: out of one, and into one that llama.cpp runs."""

import json
import shutil
from contextlib import closing
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch
from gguf import GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from codagent.errors import UsageError
from codagent.models.weights import catalog
from codagent.models.weights.download import pull, weights_dir
from codagent.models.weights.embedded import Embedded, name_weights
from codagent.types import Message, Profile, Sampling
from codagent_train.policy import gguf
from codagent_train.policy.export_weights import export_weights
from codagent_train.policy.import_weights import import_model
from codagent_train.run_dir.weights_ref import resolve
from tests.train.serving.asking import recomputed
from tests.train.test_files import files_end_at

pytestmark = pytest.mark.usefixtures("hushed")

WIDTH, HEADS, KEYS, INNER, LAYERS, ALIGNMENT = 64, 4, 2, 128, 2, 64
KINDS = ["llama", "qwen2", "qwen3"]
one_kind = pytest.mark.parametrize("imported", ["qwen2"], indirect=True)


def written(given, out, to="gguf"):
    export_weights(resolve(str(given)), out, to=to, catalog_dir=weights_dir(None), say=lambda _: None)
    return out


def shapes(kind, words):
    """By the names of a GGUF. A qwen3 has a head of its own here; the others use their embeddings for it."""
    head = 128 if kind == "qwen3" else WIDTH // HEADS  # what transformers takes for it when a GGUF says nothing
    found = {"token_embd.weight": (words, WIDTH), "output_norm.weight": (WIDTH,)}
    for at in (f"blk.{layer}." for layer in range(LAYERS)):
        found |= {f"{at}attn_norm.weight": (WIDTH,), f"{at}ffn_norm.weight": (WIDTH,), f"{at}ffn_down.weight": (WIDTH, INNER)}
        found |= {f"{at}ffn_gate.weight": (INNER, WIDTH), f"{at}ffn_up.weight": (INNER, WIDTH)}
        found |= {f"{at}attn_q.weight": (HEADS * head, WIDTH), f"{at}attn_output.weight": (WIDTH, HEADS * head)}
        found |= {f"{at}attn_{each}.weight": (KEYS * head, WIDTH) for each in "kv"}
        if kind == "qwen2":
            found |= {f"{at}attn_{each}.bias": (heads * head,) for each, heads in (("q", HEADS), ("k", KEYS), ("v", KEYS))}
        if kind == "qwen3":
            found |= {f"{at}attn_{each}_norm.weight": (head,) for each in "qk"}
    return found | ({"output.weight": (words, WIDTH)} if kind == "qwen3" else {})


def save_gguf(path, kind):
    """Random weights, with the tokenizer of the smallest model of the catalogue."""
    reader = GGUFReader(pull(catalog.find_entry("smollm2-135m"), weights_dir(None), progress=lambda *_: None))
    writer, drawn = GGUFWriter(path, kind), np.random.default_rng(0)
    writer.add_custom_alignment(ALIGNMENT)
    writer.add_license("mit")
    writer.add_block_count(LAYERS)
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEYS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    if kind == "qwen3":
        writer.add_key_length(128)
        writer.add_value_length(128)
    for name, field in reader.fields.items():
        if name.startswith("tokenizer."):
            listed = field.types[0] == GGUFValueType.ARRAY
            writer.add_key_value(name, field.contents(), field.types[0], sub_type=field.types[-1] if listed else None)
    for name, shape in shapes(kind, len(reader.fields["tokenizer.ggml.tokens"].data)).items():
        numbers = drawn.normal(1.0 if "norm" in name else 0.0, 0.2, shape)
        writer.add_tensor(name, numbers.astype(np.float16 if len(shape) > 1 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module", params=KINDS)
def imported(request, tmp_path_factory):
    """A GGUF file of one kind, the folder made of it, and an adapter on that."""
    at = tmp_path_factory.mktemp(request.param)
    save_gguf(at / "tiny.gguf", request.param)
    import_model(str(at / "tiny.gguf"), at / "base", weights=at, progress=lambda *_: None, say=lambda _: None)
    torch.manual_seed(0)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(at / "base"), LoraConfig(r=4, target_modules="all-linear"))
    for name, each in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(each, std=0.2)
    model.save_pretrained(at / "checkpoint-1")
    return at


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
    with closing(Embedded("gguf", file, profile=Profile(calling="text", context_tokens=512))) as model:
        tokens = model.reply((Message("user", "Tell a story of a fox."),), (), Sampling(1.0, 1.0, 0, 40, 3)).tokens
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
    with files_end_at(3_000_000), pytest.raises(UsageError, match=r"cannot be written: .*; make room"):
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
