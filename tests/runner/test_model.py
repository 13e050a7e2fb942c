"""What a person hears of the model before it is opened."""

from __future__ import annotations

import pytest

from codagent.cli.terminal.progress import ProgressLines
from codagent.errors import UsageError
from codagent.runner.model import Access, find_target, open_model, say_which_model
from codagent.settings.settings import NamedModel, Settings

ASKED = frozenset({"model"})
BARE = Settings(model="gpt-4o", asked=ASKED)


def test_what_a_bare_name_means_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    say_which_model(BARE, Access(), ProgressLines())
    assert capsys.readouterr().err == "gpt-4o means openai/gpt-4o\n"


def test_a_name_of_the_users_own_comes_before_a_bare_one(capsys: pytest.CaptureFixture[str]) -> None:
    models = {"gpt-4o": NamedModel(url="http://127.0.0.1:1/v1#m"), "small": NamedModel(url="smollm2-135m")}
    say_which_model(Settings(model="gpt-4o", models=models, asked=ASKED), Access(), ProgressLines())
    assert capsys.readouterr().err == ""
    assert find_target(Settings(model="small", models=models)) == "embedded:smollm2-135m"


@pytest.mark.parametrize("model", ["gpt-4o", "openai/gpt-4o"])
def test_a_missing_key_is_named_before_the_model_is_opened(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_API_BASE", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings(model=model, asked=ASKED)
    said = "openai/gpt-4o needs an API key, and the environment variable OPENAI_API_KEY is not set"
    with pytest.raises(UsageError, match=said):
        say_which_model(settings, Access(), ProgressLines())
    with pytest.raises(UsageError, match=said):
        open_model(settings, Access())


def test_a_key_in_a_header_of_the_users_own_is_a_key() -> None:
    models = {"house": NamedModel(url="https://api.openai.com/v1#gpt-4o", headers={"authorization": "Bearer x"})}
    say_which_model(Settings(model="house", models=models, asked=ASKED), Access(), ProgressLines())
