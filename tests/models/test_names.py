"""Names of models that are written without a provider."""

from __future__ import annotations

import pytest

from codagent.errors import UsageError
from codagent.models.names import resolve_name
from codagent.models.servers import litellm_table
from tests.test_imports import loaded_by


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("qwen2.5-coder-1.5b", "embedded:qwen2.5-coder-1.5b"),
        ("gpt-4o", "openai/gpt-4o"),
        ("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("gemini-2.5-pro", "gemini/gemini-2.5-pro"),  # the table has it under Vertex, too, which takes no key
        ("kimi-k3", "moonshot/kimi-k3"),
    ],
)
def test_a_bare_name_means_a_model_of_the_catalogue_or_of_who_makes_it(name: str, full: str) -> None:
    assert resolve_name(name) == full


@pytest.mark.parametrize("name", ["embedded", "embedded:x", "openai/x", "http://127.0.0.1:1/v1#m", "gguf:x", "scripted:x", ""])
def test_a_name_that_says_where_the_model_is_stays(name: str) -> None:
    assert resolve_name(name) == name


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("gpt4o", "did you mean openai/gpt-4o"),
        ("qwen2.5-coder", "did you mean embedded:qwen2.5-coder-1.5b or embedded:qwen2.5-coder-0.5b?"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"unknown model '{name}': {near}.*PROVIDER/NAME"):
        resolve_name(name)


@pytest.mark.parametrize("name", ["no model is called so", "text-embedding-3-small"])
def test_a_name_that_is_near_to_none_or_of_no_model_that_chats_is_answered_with_the_ways_to_name_one(name: str) -> None:
    with pytest.raises(UsageError, match=f"unknown model '{name}': a model is PROVIDER/NAME"):
        resolve_name(name)


@pytest.mark.parametrize("address", ["http://[::1", "http://[zz]/v1#m", "https://host:99999/v1#m", "http://host:port/v1"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="is not the address of a server"):
        resolve_name(address)


@pytest.mark.parametrize("address", ["http://[::1]:8000/v1#m", "https://host/v1/@me/x#a@b?c", "http://host"])
def test_an_address_without_a_key_stays_as_it_is(address: str) -> None:
    assert resolve_name(address) == address


def test_a_bare_name_does_not_import_litellm() -> None:
    """Its import takes seconds, which a person without a key waits for nothing."""
    assert "litellm" not in loaded_by("from codagent.models.names import resolve_name; resolve_name('gpt-4o')")


def test_without_its_file_the_table_is_that_of_litellm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm_table, "_TABLE", "gone.json")
    litellm_table.read_table.cache_clear()
    try:
        assert litellm_table.read_table()["gpt-4o"]["litellm_provider"] == "openai"
    finally:
        litellm_table.read_table.cache_clear()
