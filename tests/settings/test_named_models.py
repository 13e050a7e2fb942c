"""Models that the user's file describes."""

from pathlib import Path

import pytest

from codagent.errors import UsageError
from codagent.settings.layers import merge_layers, read_layer
from codagent.settings.settings import NamedModel

TEXT = """
model = "qwen"
[models.qwen]
url = "http://127.0.0.1:8000/v1#qwen3"
key_env = "QWEN_KEY"
window = 32768
max_output = 8192
effort = "low"
price = { prompt = 0.5, completion = 1.5 }
calling = "text"
headers = { x-team = "a" }
[models."anthropic/claude-opus-5-5"]
effort = "high"
"""


def test_the_users_file_describes_models(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(TEXT)
    models = merge_layers(read_layer(tmp_path / "config.toml")).models
    assert models["qwen"] == NamedModel(
        url="http://127.0.0.1:8000/v1#qwen3",
        key_env="QWEN_KEY",
        window=32768,
        max_output=8192,
        effort="low",
        price={"prompt": 0.5, "completion": 1.5},
        calling="text",
        headers={"x-team": "a"},
    )
    assert models["anthropic/claude-opus-5-5"] == NamedModel(effort="high")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[models.a]\nurls = 'x'", r"\[models\.a\]: unknown key 'urls'; did you mean 'url'"),
        ("[models.a]\neffort = 'much'", r"\[models\.a\]: effort must be"),
        ("[models.a]\nprice = { prompt = -1, completion = 1 }", r"\[models\.a\]: \[price\] prompt must be"),
        ("[models.a]\nprice = { prompt = 1 }", r"\[models\.a\]: \[price\] 'completion' is missing"),
        ("models = 3", r"models must be tables, \[models.NAME\]"),
        ("[models.a]\nheaders = 3", r"\[models\.a\]: headers must be a table of texts"),
        ("[models.a]\nheaders = { a = 3 }", r"\[models\.a\]: headers must be a table of texts"),
        ("[models.a]\ncalling = 3", r"\[models\.a\]: calling must be one of"),
        ("models = { a = 3 }", r"\[models\.a\]"),
        ("effort = 'much'", "effort must be"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(UsageError, match=said):
        read_layer(tmp_path / "config.toml")


@pytest.mark.parametrize("text", ["effort = 'max'", "[models.embedded]\nurl = 'http://elsewhere/v1'"])
def test_a_repository_describes_no_model(tmp_path: Path, text: str) -> None:
    (tmp_path / "codagent.toml").write_text(text)
    with pytest.raises(UsageError, match="a repository may not choose the model"):
        read_layer(tmp_path / "codagent.toml", repository=True)
