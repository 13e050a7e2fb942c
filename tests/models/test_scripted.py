"""Scripts and recorded steps as a model."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from codagent.errors import ContextOverflow, ModelError, UsageError
from codagent.models.open import open_model
from codagent.models.scripted import Scripted
from codagent.types import Message, Observation, Sampling, Step, ToolCall

ASK = (Message("user", "go"),)


def test_a_script_is_played_and_its_end_is_said(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps(["hello", {"content": "I look.", "calls": [{"name": "bash", "arguments": {"command": "ls"}}]}]))
    heard: list[str] = []
    model = open_model(f"scripted:{script}")
    first, second = (model.reply(ASK, (), Sampling(), heard.append) for _ in range(2))
    assert (first.message, first.stop, first.cost_usd) == (Message("assistant", "hello"), "stop", 0.0)
    assert second.message == Message("assistant", "I look.", (ToolCall("call_1_0", "bash", '{"command": "ls"}'),))
    assert heard == ["hello", "I look."]
    with pytest.raises(ModelError, match="ended after 2 replies"):
        model.reply(ASK, (), Sampling())


def test_a_reply_may_take_time(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps([{"content": "hello", "seconds": 0.2}]))
    began = time.monotonic()
    assert open_model(f"scripted:{script}").reply(ASK, (), Sampling()).message.content == "hello"
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize("text", ["{", "5", "[5]", '[{"calls": [{}]}]', '[{"seconds": -1}]', '[{"seconds": NaN}]', '[{"seconds": "long"}]'])
def test_what_is_no_script_is_refused(tmp_path: Path, text: str) -> None:
    script = tmp_path / "script.json"
    script.write_text(text)
    with pytest.raises(UsageError, match="not a script of replies"):
        open_model(f"scripted:{script}")


def test_a_script_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        open_model(f"scripted:{tmp_path}/none.json")


def test_recorded_steps_ask_for_the_shortening_that_was_recorded(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('["a", "b"]')
    source = Scripted.from_file(script)
    short = (Message("user", "short"),)
    steps = [
        Step(source.reply(ASK, (), Sampling()), Observation(()), 0.1),
        Step(source.reply(ASK, (), Sampling()), Observation(()), 0.1, short),
    ]
    model = Scripted.from_steps(steps)
    assert model.reply(ASK, (), Sampling()).raw == "a"
    with pytest.raises(ContextOverflow):
        model.reply(ASK, (), Sampling())
    assert model.reply(short, (), Sampling()).raw == "b"
