"""What the table of the litellm that is installed says, and what is made of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from codagent.errors import UsageError
from codagent.models.servers.litellm_table import choose_effort, count_cached, find_cost, find_entry, find_price, find_profile, wants_marks
from codagent.store.price import Price
from codagent.types import Profile


def test_the_highest_price_is_that_of_writing_a_cache() -> None:
    price = find_price("anthropic/claude-opus-5-5")
    assert price is not None
    assert price.highest() == Price(5e-06, 2e-05)
    assert price.cost(1000, 100, cached_tokens=900) == pytest.approx(100 * 4e-06 + 900 * 2e-07 + 100 * 2e-05)


def test_the_highest_price_is_that_of_the_longest_prompt() -> None:
    entry, price = find_entry("openai/gpt-5.6"), find_price("openai/gpt-5.6")
    assert price is not None
    assert price.highest_prompt_usd == entry["cache_creation_input_token_cost_above_272k_tokens"] > price.prompt_usd
    assert price.highest_completion_usd == entry["output_cost_per_token_above_272k_tokens"] > price.completion_usd


def test_a_model_of_ollama_costs_nothing_also_when_the_table_has_no_such_model() -> None:
    assert find_price("ollama_chat/nobody-knows-it") == Price(0.0, 0.0)
    assert find_price("openai/nobody-knows-it") is None


@pytest.mark.parametrize(
    ("model", "effort", "named"),
    [
        ("anthropic/claude-opus-5-5", "max", "max"),
        ("gemini/gemini-3.8-flash", "max", "high"),
        ("gemini/gemini-3.8-flash", "minimal", "low"),
        ("moonshot/kimi-k3", "medium", "low"),
        ("moonshot/kimi-k3", "none", "low"),
        ("nobody/nothing", "low", "low"),
    ],
)
def test_an_effort_that_a_model_lacks_becomes_the_nearest(model: str, effort: str, named: str) -> None:
    assert choose_effort(model, effort) == named  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "marked"),
    [
        ("anthropic/claude-opus-5-5", True),
        ("bedrock/us.anthropic.claude-sonnet-4-5", True),
        ("bedrock/amazon.nova-pro", False),
        ("openai/gpt-5.6", False),
        ("deepseek/claude-like", False),
    ],
)
def test_only_who_caches_what_is_marked_gets_marks(model: str, marked: bool) -> None:
    assert wants_marks(model) is marked


def test_a_cost_is_what_the_answer_says_or_follows_from_the_price() -> None:
    details = SimpleNamespace(cached_tokens=80)
    usage = SimpleNamespace(prompt_tokens=100, completion_tokens=10, prompt_tokens_details=details)
    assert count_cached(usage) == 80
    assert find_cost("openai/gpt-4o-mini", usage) == pytest.approx(20 * 1.5e-07 + 80 * 7.5e-08 + 10 * 6e-07)
    assert find_cost("nobody/nothing", usage) is None
    assert find_cost("nobody/nothing", SimpleNamespace(cost=0.0, prompt_tokens=1, completion_tokens=1)) is None
    assert find_cost("nobody/nothing", SimpleNamespace(cost=0.25, prompt_tokens=1, completion_tokens=1)) == 0.25


@pytest.mark.parametrize("model", ["nonsense/x", "anthropc/claude-opus-4-5", "no-such-provider/a/b"])
def test_a_provider_that_litellm_does_not_know_is_refused_before_any_request(model: str) -> None:
    with pytest.raises(UsageError, match=f"there is no provider '{model.partition('/')[0]}'") as raised:
        find_profile(model, Profile())
    assert ("did you mean anthropic/claude-opus-4-5?" in str(raised.value)) == model.startswith("anthropc")


@pytest.mark.parametrize("model", ["anthropic/claude-of-tomorrow", "openrouter/a/b", "ollama_chat/x", "bedrock/some.model", "azure_ai/x"])
def test_a_model_that_the_table_does_not_have_is_left_to_its_provider(model: str) -> None:
    assert find_profile(model, Profile()).calling == "native"
