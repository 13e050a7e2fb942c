"""API keys are sent as they are meant, and told to nobody else."""

from __future__ import annotations

import pytest

from codagent.errors import ModelError, UsageError
from codagent.models.http.keys import clean_key
from codagent.models.open import ModelOptions, open_model
from codagent.models.servers.litellm import LiteLLM
from codagent.models.servers.openai_api import OpenAIModel
from codagent.types import Message, Sampling
from tests.models.loopback import Answer, Plain, refusal, serve

ASK = (Message("user", "x"),)
KEY = "sk-Very/Secret123"


@pytest.mark.parametrize("key", [KEY + "\n", f"  {KEY}\r\n", "\ufeff" + KEY, KEY + "\t"])
def test_white_space_around_a_key_is_not_sent(key: str) -> None:
    with serve(Answer("ok")) as server:
        open_model(f"{server.url}#m", options=ModelOptions(key)).reply(ASK, (), Sampling())
    assert server.keys == [f"Bearer {KEY}"]


@pytest.mark.parametrize("key", ["sk-Very/Secr\u00e9t123", "sk-Very\nSecret123", "sk-Very Secret", "sk-Very\udce9", "sk-Very\x00!"])
@pytest.mark.parametrize("name", ["#m", ""])
def test_a_key_that_cannot_be_sent_is_refused_without_being_told(key: str, name: str) -> None:
    with serve(Answer("ok")) as server, pytest.raises(UsageError, match="CODAGENT_API_KEY") as raised:
        open_model(server.url + name, options=ModelOptions(key))
    assert "very" not in str(raised.value).lower()
    assert server.requests == []


@pytest.mark.parametrize("blank", ["", " \n", None])
def test_a_blank_key_is_none(blank: str | None) -> None:
    assert clean_key(blank) is None


@pytest.mark.parametrize(
    "answer",
    [
        refusal(401, f"Incorrect API key provided: {KEY}"),
        refusal(400, f"bearer {KEY.lower()} is not known"),
        Plain(f"<b>{KEY}</b>", 404),
        Plain(f'data: {{"error": {{"message": "key {KEY}", "code": 401}}}}\n\n'),
    ],
)
def test_a_server_that_repeats_the_key_is_quoted_without_it(answer: Plain) -> None:
    with serve(answer) as server, pytest.raises(ModelError) as raised:
        OpenAIModel(server.url, "m", api_key=KEY).reply(ASK, (), Sampling())
    assert "very/secret" not in str(raised.value).lower()
    assert "…" in str(raised.value)


def test_the_keys_of_a_provider_are_treated_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "\n")
    with serve(refusal(401, f"Incorrect API key provided: {KEY}")) as server, pytest.raises(ModelError, match="refused the key") as raised:
        LiteLLM("openai/gpt-4o-mini", url=server.url).reply(ASK, (), Sampling())
    assert server.keys == [f"Bearer {KEY}"]
    assert "very/secret" not in str(raised.value).lower()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-Very/Secr\u00e9t123")
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        LiteLLM("openai/gpt-4o-mini")
