import pytest

from codagent.errors import UsageError
from codagent.sandbox.definition import REPOSITORY_KEYS
from codagent.settings import settings as config
from codagent.types import Limits


def test_nothing_said_means_the_defaults():
    assert config.settings() == config.Settings()


def test_later_layers_go_over_earlier_ones_and_none_says_nothing():
    merged = config.settings({"model": "a", "max_steps": 3}, {"model": "b"}, {"model": None, "max_tokens": 9})
    assert (merged.model, merged.limits) == ("b", Limits(steps=3, tokens=9))
    assert merged.asked == {"model", "max_steps", "max_tokens"}


def test_every_limit_and_the_length_of_the_notes_can_be_set():
    layer = {"iterations": 1, "patience": 2, "max_steps": 3, "max_tokens": 4, "max_seconds": 5, "max_usd": 6.5, "notes_tokens": 7}
    merged = config.settings(layer)
    assert (merged.limits, merged.notes_tokens) == (Limits(1, 2, 3, 4, 5.0, 6.5), 7)


def test_a_sandbox_is_merged_key_by_key():
    merged = config.settings({"sandbox": {"name": "base", "setup": "make"}}, {"sandbox": {"name": "python"}})
    assert (merged.sandbox, merged.sandbox_setup) == ("python", {"setup": "make"})


def test_a_sandbox_may_be_told_what_a_definition_takes():
    assert set(config.SANDBOX) == {"name", *REPOSITORY_KEYS}


def test_a_missing_file_says_nothing(tmp_path):
    assert config.read(tmp_path / "none.toml") == {}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("max_steps = 3\nmax_step = 3\n", r"line 2: unknown key 'max_step'; did you mean 'max_steps'\?"),
        ("colour = 'red'\n", "line 1: unknown key 'colour'; known are model, checks"),
        ("[sandbox\n", "is not TOML"),
        ("max_steps = 'many'\n", "line 1: 'max_steps' must be a whole number above zero, not 'many'"),
        ("patience = true\n", "must be a whole number above zero, not True"),
        ("\n\nmax_tokens = 0\n", "line 3: 'max_tokens' must be a whole number above zero, not 0"),
        ("max_usd = nan\n", "must be a number above zero, not nan"),
        ("max_seconds = inf\n", "must be a number above zero, not inf"),
        ("checks = [1]\n", "'checks' must be a list of texts"),
        ("checks = ['make', ' ']\n", "none of them blank"),
        ("sandbox = 'python'\n", r"'sandbox' must be a table, \[sandbox\], not 'python'"),
        ("[sandbox]\nname = 'base'\nsetupp = 'make'\n", r"line 3: unknown key 'setupp' in \[sandbox\]; did you mean 'setup'\?"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path, text, match):
    (tmp_path / "codagent.toml").write_text(text)
    with pytest.raises(UsageError, match=match):
        config.read(tmp_path / "codagent.toml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('# wrong = 1\nmodel = """\nwrong = 1\n"""\n\n# and here:\nwrong = 1\n', 7),
        ("checks = [\n  'a',\n]\nwrong = [\n  'b',\n]\n", 4),
        ("\"wrong\" = 1\nmodel = 'a\u2028b'\n", 1),
        ("model = 'a\u2028b'\n'wrong' = 1", 2),
        ("model = 'm'\r\nwrong = 1\r\n", 2),
        ("model = 'm'\nsandbox = { name = 'base', wrong = 1 }\n", 2),
        ("wrongly = 0\nsandbox.name = 'base'\nsandbox.wrong = 1\n", 1),
        ("sandbox.name = 'base'\nsandbox.wrong = 1\n", 2),
    ],
)
def test_the_line_is_the_one_where_the_key_is_set(tmp_path, text, line):
    (tmp_path / "codagent.toml").write_bytes(text.encode())
    with pytest.raises(UsageError, match=f"line {line}: unknown key 'wrong"):
        config.read(tmp_path / "codagent.toml")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "codagent.toml").write_bytes(b"model = '\xff'\n")
    with pytest.raises(UsageError, match="cannot be read"):
        config.read(tmp_path / "codagent.toml")


def test_a_repository_may_not_choose_the_model(tmp_path):
    (tmp_path / "codagent.toml").write_text("model = 'http://elsewhere/v1'\n")
    with pytest.raises(UsageError, match="line 1: a repository may not choose the model"):
        config.read(tmp_path / "codagent.toml", repository=True)
    assert config.read(tmp_path / "codagent.toml") == {"model": "http://elsewhere/v1"}


def test_the_environment_is_a_layer():
    variables = {"CODAGENT_MODEL": "m", "CODAGENT_SANDBOX": "base", "CODAGENT_MAX_USD": "0.5", "CODAGENT_PATIENCE": "2", "OTHER": "x"}
    merged = config.settings(config.environment({**variables, "CODAGENT_ITERATIONS": "4"}))
    assert (merged.model, merged.sandbox, merged.limits) == ("m", "base", Limits(iterations=4, patience=2, usd=0.5))


@pytest.mark.parametrize("raw", ["few", "0", "-1", "2.5", "nan"])
def test_a_limit_in_the_environment_that_is_none_is_refused(raw):
    with pytest.raises(UsageError, match=f"CODAGENT_MAX_STEPS must be a whole number above zero, not '{raw}'"):
        config.environment({"CODAGENT_MAX_STEPS": raw})
