import pytest

from codagent import config
from codagent.errors import UsageError
from codagent.types import Limits


def test_nothing_said_means_the_defaults():
    assert config.settings() == config.Settings()


def test_later_layers_go_over_earlier_ones_and_none_says_nothing():
    merged = config.settings({"model": "a", "max_steps": 3}, {"model": "b"}, {"model": None, "max_tokens": 9})
    assert (merged.model, merged.limits) == ("b", Limits(steps=3, tokens=9))
    assert merged.asked == {"model", "max_steps", "max_tokens"}


def test_a_sandbox_is_merged_key_by_key():
    merged = config.settings({"sandbox": {"name": "base", "setup": "make"}}, {"sandbox": {"name": "python"}})
    assert (merged.sandbox, merged.sandbox_setup) == ("python", {"setup": "make"})


def test_a_missing_file_says_nothing(tmp_path):
    assert config.read(tmp_path / "none.toml") == {}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("max_steps = 3\nmax_step = 3\n", r"line 2: unknown key 'max_step'; did you mean 'max_steps'\?"),
        ("[sandbox\n", "cannot be read"),
        ("max_steps = 'many'\n", "line 1: 'max_steps' has a value of the wrong type"),
        ("max_tokens = 0\n", "must be above zero"),
        ("checks = [1]\n", "wrong type"),
        ("sandbox = 'python'\n", "wrong type"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path, text, match):
    (tmp_path / "codagent.toml").write_text(text)
    with pytest.raises(UsageError, match=match):
        config.read(tmp_path / "codagent.toml")


def test_a_repository_may_not_choose_the_model(tmp_path):
    (tmp_path / "codagent.toml").write_text("model = 'http://elsewhere/v1'\n")
    with pytest.raises(UsageError, match="may not choose the model"):
        config.read(tmp_path / "codagent.toml", repository=True)
    assert config.read(tmp_path / "codagent.toml") == {"model": "http://elsewhere/v1"}


def test_the_environment_is_a_layer():
    variables = {"CODAGENT_MODEL": "m", "CODAGENT_SANDBOX": "base", "CODAGENT_MAX_USD": "0.5", "OTHER": "x"}
    merged = config.settings(config.environment(variables))
    assert (merged.model, merged.sandbox, merged.limits.usd) == ("m", "base", 0.5)


def test_a_number_in_the_environment_that_is_none_is_refused():
    with pytest.raises(UsageError, match="CODAGENT_MAX_STEPS must be a number, not 'few'"):
        config.environment({"CODAGENT_MAX_STEPS": "few"})
