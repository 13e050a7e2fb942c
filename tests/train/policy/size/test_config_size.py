"""How large a model is, from its configuration alone."""

import json

import pytest

from codagent_train.policy.size.config_size import size_by_config
from codagent_train.policy.size.model_size import model_size
from tests.train.policy.size.test_model_size import save

CONFIG = {
    "hidden_size": 8,
    "intermediate_size": 20,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 11,
}
LAYER = ((8, 8), (4, 8), (4, 8), (8, 8), (20, 8), (20, 8), (8, 20))


@pytest.fixture
def folder(tmp_path):
    def make(**other):
        (tmp_path / "config.json").write_text(json.dumps(CONFIG | other))
        return tmp_path

    return make


@pytest.mark.parametrize(("weights", "published"), [("HuggingFaceTB/SmolLM2-135M-Instruct", 134_515_008), ("Qwen/Qwen3-8B", 8_190_735_360)])
def test_the_models_of_the_shipped_recipes_are_known(weights, published):
    assert size_by_config(weights).parameters == pytest.approx(published, rel=1e-3)


def test_it_is_what_the_weights_say(folder):
    names = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    tensors = {f"model.layers.{layer}.{name}.weight": [*size] for layer in range(2) for name, size in zip(names, LAYER, strict=True)}
    config = folder()
    found = size_by_config(str(config))
    save(config / "model.safetensors", tensors | {"model.embed_tokens.weight": [11, 8], "lm_head.weight": [11, 8]})
    whole = model_size(str(config))
    assert (found.parameters, found.linears, found.cached) == (whole.parameters, whole.linears, whole.cached)
    assert (found.hidden, found.layers, found.vocabulary) == (whole.hidden, whole.layers, whole.vocabulary)


@pytest.mark.parametrize(
    ("other", "parameters"), [({"tie_word_embeddings": True}, -88), ({"head_dim": 4}, 2 * 2 * 8 * (8 + 4)), ({"text_config": CONFIG}, 0)]
)
def test_what_a_configuration_says_counts(folder, other, parameters):
    base = size_by_config(str(folder())).parameters
    assert size_by_config(str(folder(**other))).parameters == base + parameters


@pytest.mark.parametrize("other", [{"num_experts": 8}, {"intermediate_size": None}, {"vocab_size": "many"}])
def test_of_another_kind_of_model_nothing_is_known(folder, other):
    assert size_by_config(str(folder(**other))) is None


@pytest.mark.parametrize("text", ["[]", "{", ""])
def test_a_configuration_that_is_none_is_none(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    assert size_by_config(str(tmp_path)) is None
    assert size_by_config(str(tmp_path / "absent")) is None
