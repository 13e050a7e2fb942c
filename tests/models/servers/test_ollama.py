"""The window that Ollama is asked to open."""

from __future__ import annotations

import pytest

from codagent.models.servers.litellm import LiteLLM
from codagent.models.servers.ollama import choose_window, find_longest
from codagent.types import Message, Sampling
from tests.models.providers.double import serve, steps
from tests.models.providers.ollama import Ollama


@pytest.mark.parametrize(
    ("letters", "reply", "longest", "window"),
    [
        (10, 100, 100_000, 8_192),
        (20_000, 4096, 100_000, 16_384),
        (60_000, 4096, 100_000, 32_768),
        (900_000, 4096, 100_000, 100_000),
        (10, 100, 2048, 2048),
    ],
)
def test_the_window_doubles_as_the_prompt_grows(letters: int, reply: int, longest: int, window: int) -> None:
    assert choose_window([{"role": "user", "content": "x" * letters}], reply, longest) == window


def test_the_longest_window_is_the_models() -> None:
    with serve(Ollama(steps(3))) as url:
        assert find_longest(url, "qwen3") == 262_144
    assert find_longest("http://127.0.0.1:9", "qwen3") == 32_768


def test_a_request_names_its_window() -> None:
    double = Ollama(steps(3))
    with serve(double) as url:
        model = LiteLLM("ollama_chat/qwen3", url=url)
        model.reply((Message("user", "x" * 30_000),), (), Sampling())
    assert [body["options"]["num_ctx"] for body in double.bodies if "messages" in body] == [16_384]
