"""Models in this process are loaded once for all loops of a command."""

import pytest

from codagent.models import open as models
from codagent.runner.model import Access
from codagent.runner.shared_models import SharedModels
from codagent.settings.settings import Settings
from codagent.types import Message, Reply, Sampling

MESSAGES = (Message("user", "hello"),)


class Counted:
    """A model that knows how often it was asked and closed."""

    def __init__(self, spec, options):
        self.name, self.at_once, self.asked, self.closed = spec, options.at_once, 0, 0

    def reply(self, messages, tools, sampling, on_text=None):
        self.asked += 1
        return Reply(Message("assistant", "hi"), "stop", 1, 1, 0.0, None, sampling, "p", "hi")

    def close(self):
        self.closed += 1


@pytest.fixture
def opened(monkeypatch):
    """Each model that is opened."""
    made = []

    def open_model(spec, *, profile=None, options):
        made.append(Counted(spec, options))
        return made[-1]

    monkeypatch.setattr(models, "open_model", open_model)
    return made


def test_one_model_serves_all_and_is_closed_once(opened):
    shared = SharedModels(3)
    settings = Settings(model="embedded:smollm2-135m")
    for number in range(1, 4):
        model = shared.open(settings, Access(), at_once=1).model
        assert model.reply(MESSAGES, (), Sampling()).message.content == "hi"
        assert (model.name, opened[0].asked) == ("embedded:smollm2-135m", number)
        model.close()
    assert (len(opened), opened[0].at_once, opened[0].closed) == (1, 3, 0)
    shared.close()
    assert opened[0].closed == 1


def test_other_weights_are_another_model(opened):
    shared = SharedModels(2)
    for name in ("smollm2-135m", "qwen2.5-coder-0.5b", "smollm2-135m"):
        shared.open(Settings(model=f"embedded:{name}"), Access())
    assert [model.name for model in opened] == ["embedded:smollm2-135m", "embedded:qwen2.5-coder-0.5b"]


def test_what_takes_no_memory_here_is_each_loops_own(opened):
    shared = SharedModels(2)
    first, second = (shared.open(Settings(model="scripted:x"), Access(), answered=number).model for number in (1, 2))
    assert [first, second] == opened
    first.close()
    shared.close()
    assert [model.closed for model in opened] == [1, 0]
