"""A tool call through the litellm that is installed, over real HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from codagent.errors import ContextOverflow, ModelError
from codagent.models.http.patience import Patience
from codagent.models.open import price_for
from codagent.models.servers import litellm as litellm_module
from codagent.models.servers.litellm import LiteLLM
from codagent.store.price import Price
from codagent.types import Message, Sampling, Tool, ToolCall
from tests.models.loopback import Answer, refusal, serve

BASH = Tool("bash", "Run.", {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]})
ASK = (Message("user", "list"),)
NAME = "openai/gpt-4o-mini"


def test_a_streamed_call_is_parsed_counted_and_priced() -> None:
    heard: list[str] = []
    with serve(Answer("I look.", calls=[("bash", '{"command": "ls"}')], usage=(1000, 100))) as server:
        reply = LiteLLM(NAME, url=server.url, api_key="k").reply(ASK, (BASH,), Sampling(max_tokens=50), heard.append)
    assert reply.message == Message("assistant", "I look.", (ToolCall("id0", "bash", '{"command": "ls"}'),))
    assert (reply.stop, reply.prompt_tokens, reply.completion_tokens, reply.policy) == ("tool_calls", 1000, 100, f"{NAME} native")
    price = price_for(NAME)
    assert price is not None
    assert reply.cost_usd == pytest.approx(1000 * price.prompt_usd + 100 * price.completion_usd)
    assert "".join(heard) == 'I look.{"command": "ls"}'
    assert server.requests[0]["tools"][0]["function"]["name"] == "bash"


def test_an_answer_is_sent_back_with_its_call() -> None:
    asked = (*ASK, Message("assistant", "", (ToolCall("a", "bash", '{"command": "ls"}'),)), Message("tool", "x.py", tool_call_id="a"))
    with serve(Answer("done")) as server:
        reply = LiteLLM(NAME, url=server.url, api_key="k").reply(asked, (BASH,), Sampling())
    assert (reply.raw, reply.stop) == ("done", "stop")
    assert server.requests[0]["messages"][-1] == {"role": "tool", "content": "x.py", "tool_call_id": "a"}


def test_text_that_is_not_unicode_is_sent_with_replacements() -> None:
    with serve(Answer("done")) as server:
        reply = LiteLLM(NAME, url=server.url, api_key="k", patience=Patience(0.5)).reply(
            (Message("user", "caf\udce9 \ud83d"),), (), Sampling()
        )
    assert (reply.raw, server.requests[0]["messages"][0]["content"]) == ("done", "caf? \ufffd")


def test_a_busy_provider_is_waited_for() -> None:
    with serve(refusal(429, "slow down", retry_after="0.3"), Answer("done")) as server:
        assert LiteLLM(NAME, url=server.url, api_key="k").reply(ASK, (), Sampling()).raw == "done"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "message", "code", "kind", "cause"),
    [
        (401, "bad key", "invalid_api_key", ModelError, "refused the key"),
        (429, "You exceeded your current quota", "insufficient_quota", ModelError, "out of quota"),
        (400, "This model's maximum context length is 9 tokens", "context_length_exceeded", ContextOverflow, "too long"),
        (404, "no such model", "model_not_found", ModelError, "no such model"),
    ],
)
def test_what_waiting_cannot_mend_fails_at_once(status: int, message: str, code: str, kind: type[ModelError], cause: str) -> None:
    with serve(refusal(status, message, code)) as server, pytest.raises(kind, match=cause):
        LiteLLM(NAME, url=server.url, api_key="k").reply(ASK, (BASH,), Sampling())
    assert len(server.requests) == 1


def test_a_provider_that_is_down_fails_within_the_patience() -> None:
    with pytest.raises(ModelError, match=NAME) as raised:
        LiteLLM(NAME, url="http://127.0.0.1:9/v1", api_key="k", patience=Patience(0.5)).reply(ASK, (), Sampling())
    assert "\n" not in str(raised.value)


def test_a_provider_that_litellm_does_not_know_is_a_model_error() -> None:
    with pytest.raises(ModelError, match="nobody/nothing"):
        LiteLLM("nobody/nothing", patience=Patience(0.2)).reply(ASK, (), Sampling())


def test_prices_are_known_for_known_models_only() -> None:
    assert price_for(NAME) == Price(1.5e-07, 6e-07, cached_usd=7.5e-08, highest_prompt_usd=1.5e-07, highest_completion_usd=6e-07)
    assert price_for("nobody/nothing") is None


def test_the_module_does_not_import_the_library_of_its_name() -> None:
    source = Path(litellm_module.__file__)
    assert "\nimport litellm" not in source.read_text()
