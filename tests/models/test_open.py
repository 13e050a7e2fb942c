"""Names of models, their profiles, prices and the probe."""

from __future__ import annotations

import pytest

from codagent.errors import UsageError
from codagent.models.open import ModelOptions, open_model, price_for, profile_for
from codagent.models.weights.catalog import ENTRIES
from codagent.store.price import Price
from codagent.types import Message, Profile, Sampling
from tests.models.loopback import Answer, serve


@pytest.mark.parametrize("spec", ["gpt-4o", "embedded:gpt-9", "", "nonsense:x"])
def test_an_unknown_model_is_answered_with_the_known(spec: str) -> None:
    with pytest.raises(UsageError, match=r"PROVIDER/NAME.*qwen2\.5-coder-1\.5b"):
        open_model(spec)


def test_an_adapter_lies_in_a_folder_of_the_trainers() -> None:
    with pytest.raises(UsageError, match=r"there is no folder runs/1; give the --out of a codagent-train run"):
        open_model("adapter:runs/1")


def test_profiles_come_with_the_catalogue() -> None:
    assert profile_for("embedded") == ENTRIES[0].profile
    assert profile_for("openai/nothing") == profile_for("http://127.0.0.1:1/v1#m") == Profile(room_after_cut=2)
    assert profile_for("gguf:x.gguf").calling == "text"
    with pytest.raises(UsageError, match="there is no provider 'nobody'"):
        profile_for("nobody/nothing")


def test_the_window_and_the_length_of_a_reply_come_from_litellm() -> None:
    opus, small = profile_for("anthropic/claude-opus-5-5"), profile_for("openai/gpt-4o")
    assert (opus.context_tokens, opus.sampling.max_tokens) == (1_000_000, 16_384)
    assert (small.context_tokens, small.sampling.max_tokens) == (128_000, 4096)


def test_what_runs_here_costs_nothing_and_an_endpoint_nobody_knows() -> None:
    assert price_for("embedded") == price_for("gguf:x") == price_for("adapter:x") == price_for("scripted:x") == Price(0.0, 0.0)
    assert price_for("http://127.0.0.1:1/v1#m") is None


def test_an_endpoint_without_a_model_is_asked_for_its_first() -> None:
    with serve(Answer("hi")) as server:
        model = open_model(server.url, options=ModelOptions(api_key="k"))
        assert model.reply((Message("user", "a"),), (), Sampling()).raw == "hi"
    assert (model.name, server.requests[0]["model"]) == (f"{server.url}#only-one", "only-one")
