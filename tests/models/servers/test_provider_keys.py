"""Which keys are known to be missing before anybody is asked."""

from __future__ import annotations

import pytest

from codagent.models.servers.provider_keys import find_missing_key


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("openai/gpt-4o", "OPENAI_API_KEY"),
        ("anthropic/claude-opus-5-5", "ANTHROPIC_API_KEY"),
        ("gemini/gemini-3.8-flash", "GEMINI_API_KEY"),
        ("openrouter/deepseek/deepseek-v4-pro", "OPENROUTER_API_KEY"),
        ("https://api.openai.com/v1#gpt-4o", "CODAGENT_API_KEY"),
        ("https://openrouter.ai/api/v1", "CODAGENT_API_KEY"),
    ],
)
def test_a_key_that_is_not_set_is_named(model: str, variable: str) -> None:
    assert find_missing_key(model, {}) == variable
    assert find_missing_key(model, {variable: " "}) == variable
    assert find_missing_key(model, {variable: "sk-1"}) is None


@pytest.mark.parametrize(
    ("model", "environment"),
    [
        ("openai/gpt-4o", {"OPENAI_BASE_URL": "http://127.0.0.1:1"}),
        ("openai/gpt-4o", {"OPENAI_API_BASE": "http://127.0.0.1:1"}),
        ("anthropic/claude-opus-5-5", {"ANTHROPIC_AUTH_TOKEN": "t"}),
        ("gemini/gemini-3.8-flash", {"GOOGLE_API_KEY": "k"}),
        *[
            (model, {})
            for model in ("ollama/qwen3", "bedrock/x", "vertex_ai/x", "azure/x", "hosted_vllm/x", "nobody/x", "embedded", "scripted:a/b")
        ],
        *[(model, {}) for model in ("http://127.0.0.1:1/v1#m", "https://models.example/v1#m")],
    ],
)
def test_no_key_is_missing_where_another_way_in_is_possible(model: str, environment: dict[str, str]) -> None:
    assert find_missing_key(model, environment) is None
