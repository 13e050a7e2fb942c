"""GGUF files of the kinds that are written: two layers of random weights, with a real tokenizer."""

import numpy as np
import pytest
from gguf import GGUFReader, GGUFValueType, GGUFWriter

from codagent.models.weights import catalog
from codagent.models.weights.download import pull, weights_dir
from codagent_train.policy.export_weights import export_weights
from codagent_train.run_dir.weights_ref import resolve

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
