"""How large a model is, from the heads of its files."""

import json
import struct

import pytest

from codagent.errors import UsageError
from codagent_train.policy.size.model_size import model_size

CONFIG = {"hidden_size": 8, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 3, "vocab_size": 11}
TENSORS = {
    "model.embed_tokens.weight": [11, 8],
    "model.layers.0.self_attn.q_proj.weight": [8, 8],
    "model.layers.0.mlp.up_proj.weight": [20, 8],
    "model.norm.weight": [8],
    "lm_head.weight": [11, 8],
}


def save(file, tensors, *, short=0):
    """As safetensors lays it out, with zeros for numbers."""
    head, end = {"__metadata__": {"format": "pt"}}, 0
    for name, size in tensors.items():
        begin, end = end, end + 4 * size[0] * (size[1] if len(size) > 1 else 1)
        head[name] = {"dtype": "F32", "shape": size, "data_offsets": [begin, end]}
    text = json.dumps(head).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end - short))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "weights.bin").write_bytes(bytes(999))
    save(tmp_path / "model.safetensors", TENSORS)
    return tmp_path


def test_parameters_layers_and_cache_are_counted(folder):
    found = model_size(str(folder))
    assert found.parameters == 88 + 64 + 160 + 8 + 88
    assert found.linears == ((8, 8), (20, 8))
    assert (found.outputs, found.cached, found.vocabulary) == (28, 2 * 3 * 2 * 2, 11)
    assert found.beside == (folder / "config.json").stat().st_size


def test_weights_in_several_files_are_one_model(folder):
    whole = model_size(str(folder))
    (folder / "model.safetensors").unlink()
    names = list(TENSORS)
    for number, part in enumerate((names[:2], names[2:])):
        save(folder / f"part-{number}.safetensors", {name: TENSORS[name] for name in part})
    placed = {name: f"part-{int(at > 1)}.safetensors" for at, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    found = model_size(str(folder))
    assert (found.parameters, found.linears) == (whole.parameters, whole.linears)
    (folder / "part-1.safetensors").unlink()
    assert model_size(str(folder)) is None


def test_of_what_is_not_here_nothing_is_known(tmp_path, monkeypatch):
    assert model_size("nobody/has-this-model") is None
    assert model_size(str(tmp_path / "nothing")) is None
    assert model_size(str(tmp_path)) is None


def test_files_that_are_cut_off_or_something_else_are_refused(folder):
    save(folder / "model.safetensors", TENSORS, short=4)
    with pytest.raises(UsageError, match=r"not a whole file of safetensors: .*not fully covered"):
        model_size(str(folder))
    for text in (b"", b"GGUF", b"not weights at all", struct.pack("<Q", 2) + b"[]"):
        (folder / "model.safetensors").write_bytes(text)
        with pytest.raises(UsageError, match="is not a whole file of safetensors"):
            model_size(str(folder))
    save(folder / "model.safetensors", {})
    with pytest.raises(UsageError, match="holds no tensor"):
        model_size(str(folder))


def test_a_model_of_another_kind_is_refused(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "unet"}))
    with pytest.raises(UsageError, match="lacks 'hidden_size'"):
        model_size(str(folder))
