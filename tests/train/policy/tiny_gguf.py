"""GGUF files of the kinds that are written: two layers of random weights, with the beginning of a real tokenizer."""

from contextlib import closing
from functools import cache

import numpy as np
import pytest
from gguf import GGUFReader, GGUFValueType, GGUFWriter

from codagent.models.weights import catalog
from codagent.models.weights.download import pull, weights_dir
from codagent.types import Message, Profile, Sampling
from codagent_train.policy.export_weights import export_weights
from codagent_train.run_dir.weights_ref import resolve

WIDTH, HEADS, KEYS, INNER, LAYERS, ALIGNMENT, WORDS = 64, 4, 2, 128, 2, 64, 4096
KINDS = ["llama", "qwen2", "qwen3"]
one_kind = pytest.mark.parametrize("imported", ["qwen2"], indirect=True)


PROFILE = Profile(calling="text", context_tokens=512)


def reply(model):
    """An answer with all of its tokens. A random model often ends within a character, which llama.cpp does not send."""
    with closing(model):
        answers = (model.reply((Message("user", "Tell a story of a fox."),), (), Sampling(1.0, 1.0, 0, 40, seed)) for seed in range(20))
        return next(answer for answer in answers if answer.tokens)


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


@cache
def tokenizer():
    """The first words of the smallest model of the catalogue, and the merges that lead to them: by key, the contents and their types.

    The model has 49,152 words, which take seconds each time that a file of them is read.
    """
    reader = GGUFReader(pull(catalog.find_entry("smollm2-135m"), weights_dir(None), progress=lambda *_: None))
    fields = {name: field for name, field in reader.fields.items() if name.startswith("tokenizer.")}
    found = {name: (field.contents(), field.types[0], field.types[-1]) for name, field in fields.items()}
    every, listed = len(found["tokenizer.ggml.tokens"][0]), GGUFValueType.ARRAY
    merges = WORDS - every + len(found["tokenizer.ggml.merges"][0])  # the words that no merge leads to come first
    kept = {name: merges if name.endswith("merges") else WORDS for name, (_, kind, _) in found.items() if kind == listed}
    return {name: (value[: kept[name]] if name in kept else value, *kinds) for name, (value, *kinds) in found.items()}


def save_gguf(path, kind):
    """Random weights, with that tokenizer."""
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
    for name, (value, of, inner) in tokenizer().items():
        writer.add_key_value(name, value, of, sub_type=inner if of == GGUFValueType.ARRAY else None)
    for name, shape in shapes(kind, WORDS).items():
        numbers = drawn.normal(1.0 if "norm" in name else 0.0, 0.2, shape)
        writer.add_tensor(name, numbers.astype(np.float16 if len(shape) > 1 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
