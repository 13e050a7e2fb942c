import re

import pytest

from codagent.errors import UsageError
from codagent.settings.layers import Layer, SandboxTable, lower_limits, make_layer, merge_layers, read_environment, read_layer
from codagent.settings.settings import Settings
from codagent.types import Limits

MANY = 5001  # digits; Python itself refuses more than 4300


def test_nothing_stated_means_the_defaults():
    assert merge_layers() == merge_layers(Layer()) == Settings()


def test_later_layers_go_over_earlier_ones_and_none_states_nothing():
    merged = merge_layers(Layer(model="a", max_steps=3), Layer(model="b"), Layer(model=None, max_tokens=9))
    assert (merged.model, merged.limits) == ("b", Limits(steps=3, tokens=9))
    assert merged.asked == {"model", "max_steps", "max_tokens"}


def test_every_limit_and_the_length_of_the_notes_can_be_set():
    layer = Layer(iterations=1, patience=2, max_steps=3, max_tokens=4, max_seconds=5, max_usd=6.5, wait=8, notes_tokens=7)
    merged = merge_layers(layer)
    assert (merged.limits, merged.notes_tokens) == (Limits(1, 2, 3, 4, 5.0, 6.5, 8.0), 7)


def test_a_sandbox_is_merged_key_by_key():
    merged = merge_layers(Layer(sandbox=SandboxTable(name="base", setup="make")), Layer(sandbox=SandboxTable(name="python")))
    assert (merged.sandbox, merged.sandbox_setup) == ("python", {"setup": "make"})


def test_a_missing_file_states_nothing(tmp_path):
    assert read_layer(tmp_path / "none.toml") == Layer()


def test_a_file_is_read_as_typed_values(tmp_path):
    (tmp_path / "codagent.toml").write_text("checks = ['make']\nmax_seconds = 3\n[sandbox]\nfiles = ['a', 'b']\n")
    layer = read_layer(tmp_path / "codagent.toml")
    assert layer == Layer(checks=("make",), max_seconds=3.0, sandbox=SandboxTable(files=("a", "b")))
    assert isinstance(layer.max_seconds, float)


def refused(path, text):
    path.write_bytes(text.encode())
    with pytest.raises(UsageError) as error:
        read_layer(path)
    said = str(error.value)
    assert said.startswith(f"{path}")
    assert len(said) < 400
    assert "\n" not in said
    return said.removeprefix(f"{path}").removeprefix(": ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_steps = 3\nmax_step = 3\n", "unknown key 'max_step'; did you mean 'max_steps'?"),
        ("max_steps = 'many'\n", "max_steps must be a whole number above zero, not 'many'"),
        ("patience = true\n", "patience must be a whole number above zero, not True"),
        ("patience = 2.0\n", "patience must be a whole number above zero, not 2.0"),
        ("\n\nmax_tokens = 0\n", "max_tokens must be a whole number above zero, not 0"),
        ("max_usd = nan\n", "max_usd must be a number above zero, not nan"),
        ("max_usd = -0.1\n", "max_usd must be a number above zero, not -0.1"),
        ("max_seconds = inf\n", "max_seconds must be a number above zero and at most a billion, not inf"),
        ("max_seconds = 1e300\n", "max_seconds must be a number above zero and at most a billion, not 1e+300"),
        ("wait = -1\n", "wait must be a number from zero to a billion, not -1"),
        ("checks = [1]\n", "checks must be a list of texts, none of them blank, not [1]"),
        ("checks = 'make'\n", "checks must be a list of texts, none of them blank, not 'make'"),
        ("checks = ['make', ' ']\n", "checks must be a list of texts, none of them blank, not ['make', ' ']"),
        ("checks = [{a = 1}]\n", "checks must be a list of texts, none of them blank, not [{'a': 1}]"),
        ("model = ''\n", "model must be a text that is not blank, not ''"),
        ("model = {name = 'm'}\n", "model must be a text that is not blank, not a table"),
        ("sandbox = 'python'\n", "sandbox must be a table, [sandbox], not 'python'"),
        ("[sandbox]\nname = 'base'\nsetupp = 'make'\n", "[sandbox] unknown key 'setupp'; did you mean 'setup'?"),
        ("[sandbox]\nname = 3\n", "[sandbox] name must be a text that is not blank, not 3"),
        ("max_steps = 'many'\nmax_step = 3\n", "unknown key 'max_step'; did you mean 'max_steps'?"),
    ],
)
def test_a_wrong_file_is_refused_with_its_key(tmp_path, text, said):
    assert refused(tmp_path / "codagent.toml", text) == said


def test_an_unknown_key_that_is_like_no_other_is_told_the_known_ones(tmp_path):
    limits = "iterations, patience, max_steps, max_tokens, max_seconds, max_usd, wait"
    known = f"model, checks, protect, allow, {limits}, notes_tokens, effort, models, hooks, mcp, sandbox"
    assert refused(tmp_path / "codagent.toml", "colour = 'red'\n") == f"unknown key 'colour'; known are {known}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('# wrong = 1\nmodel = """\nwrong = 1\n"""\n\n# and here:\nwrong = 1\n', "unknown key 'wrong'"),
        ("checks = [\n  'a',\n]\nwrong = [\n  'b',\n]\n", "unknown key 'wrong'"),
        ("\"wrong\" = 1\nmodel = 'a\u2028b'\n", "unknown key 'wrong'"),
        ("model = 'a\u2028b'\n'wrong' = 1", "unknown key 'wrong'"),
        ("model = 'm'\r\nwrong = 1\r\n", "unknown key 'wrong'"),
        ("model = 'm'\nsandbox = { name = 'base', wrong = 1 }\n", "[sandbox] unknown key 'wrong'"),
        ("wrongly = 0\nsandbox.name = 'base'\nsandbox.wrong = 1\n", "unknown key 'wrongly'"),
        ("sandbox.name = 'base'\nsandbox.wrong = 1\n", "[sandbox] unknown key 'wrong'"),
        ("'' = 1\n", "unknown key ''"),
        ('"a\\nb` - at `$.x" = 1\n', "unknown key 'a\\nb` - at `$.x'"),
        ('"a` - at `$.sandbox.x" = 1\n', "unknown key 'a` - at `$.sandbox.x'"),
        ('[sandbox]\n"a` - at `$.model" = 1\n', "[sandbox] unknown key 'a` - at `$.model'"),
    ],
)
def test_the_key_is_named_however_it_is_written(tmp_path, text, said):
    assert refused(tmp_path / "codagent.toml", text).startswith(f"{said}; ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sandbox\n", "is not TOML"),
        ("checks = ['\\ud800']\n".replace("'", '"'), "is not TOML"),
        (f"max_steps = {'9' * MANY}\n", "is not TOML: Exceeds the limit"),
        (f"max_steps = 0x{'f' * MANY}\n", "max_steps must be a whole number above zero, not one of more than 18 digits"),
        (f"max_steps = {10**18}\n", "max_steps must be a whole number above zero, not one of more than 18 digits"),
        (f"max_seconds = 0x{'f' * MANY}\n", "max_seconds must be a number .*, not one of more than 18 digits"),
        (f"max_seconds = {10**400}\n", "max_seconds must be a number .*, not one of more than 18 digits"),
        (f"checks = [0x{'f' * MANY}]\n", "checks must be a list of texts, none of them blank, not what it holds"),
        (f"checks = {'[' * MANY}\n", "is not usable: its values are nested too deeply"),
        (f"sandbox = {'{a=' * MANY}\n", "is not usable: its values are nested too deeply"),
        (f"max_usd{'.a' * MANY} = 1\n", "max_usd must be a number .*, not a table"),
        (f"checks = [ {{a{'.a' * MANY} = 1}} ]\n", "checks must be a list of texts, none of them blank, not what it holds"),
        (f"{'a' * 70_000} = 1\n", "unknown key 'aaa"),
        ("max_steps = 2020-01-01\n", "max_steps must be a whole number above zero, not datetime"),
    ],
    ids=range(14),
)
def test_an_odd_file_is_refused_in_one_sentence(tmp_path, text, said):
    assert re.match(said, refused(tmp_path / "codagent.toml", text).strip())


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "codagent.toml").write_bytes(b"model = '\xff'\n")
    with pytest.raises(UsageError, match="cannot be read"):
        read_layer(tmp_path / "codagent.toml")


def test_a_repository_may_not_choose_the_model(tmp_path):
    (tmp_path / "codagent.toml").write_text("model = 'http://elsewhere/v1'\n")
    with pytest.raises(UsageError, match="a repository may not choose the model"):
        read_layer(tmp_path / "codagent.toml", repository=True)
    assert read_layer(tmp_path / "codagent.toml") == Layer(model="http://elsewhere/v1")


def test_the_environment_is_a_layer():
    variables = {"CODAGENT_MODEL": "m", "CODAGENT_SANDBOX": "base", "CODAGENT_MAX_USD": "0.5", "CODAGENT_PATIENCE": "2", "OTHER": "x"}
    merged = merge_layers(read_environment({**variables, "CODAGENT_ITERATIONS": "4"}))
    assert (merged.model, merged.sandbox, merged.limits) == ("m", "base", Limits(iterations=4, patience=2, usd=0.5))
    assert merge_layers(read_environment({"CODAGENT_WAIT": "0"})).limits == Limits(wait=0)


@pytest.mark.parametrize("raw", ["few", "null", "0", "-1", "2.5", "nan", "9" * MANY])
def test_a_limit_in_the_environment_that_is_none_is_refused(raw):
    with pytest.raises(UsageError, match=r"^CODAGENT_MAX_STEPS must be a whole number above zero, not .{1,80}$"):
        read_environment({"CODAGENT_MAX_STEPS": raw})


def test_an_empty_variable_states_nothing():
    assert read_environment({"CODAGENT_MODEL": "", "CODAGENT_SANDBOX": "", "CODAGENT_MAX_USD": ""}) == Layer()


def test_a_repository_may_lower_limits_and_not_raise_them():
    own = Settings(limits=Limits(steps=10, usd=None), notes_tokens=100)
    layer = Layer(max_steps=11, max_tokens=9, max_usd=7.0, notes_tokens=101, checks=("make",))
    assert lower_limits(layer, own) == (Layer(max_tokens=9, max_usd=7.0, checks=("make",)), ["max_steps", "notes_tokens"])
    assert lower_limits(Layer(wait=5), Settings(limits=Limits(wait=4))) == (Layer(), ["wait"])
    assert lower_limits(Layer(wait=0), Settings(limits=Limits(wait=4))) == (Layer(wait=0), [])


def test_flags_are_a_layer_and_named_as_flags():
    layer = make_layer({"model": None, "sandbox": "base", "max_usd": 2}, name="--{}".format)
    assert layer == Layer(max_usd=2.0, sandbox=SandboxTable(name="base"))
    with pytest.raises(UsageError, match=r"^--max_usd must be a number above zero, not nan$"):
        make_layer({"max_usd": float("nan")}, name="--{}".format)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [("CODAGENT_MAX_TOKEN", "CODAGENT_MAX_TOKENS"), ("CODAGENT_MODELS", "CODAGENT_MODEL"), ("CODAGENT_ITERATION", "CODAGENT_ITERATIONS")],
)
def test_a_variable_that_means_nothing_is_not_passed_over(variable, meant):
    with pytest.raises(UsageError, match=f"{variable} means nothing; did you mean {meant}"):
        read_environment({variable: "5"})


def test_other_variables_of_codagent_are_left_alone():
    assert read_environment({"CODAGENT_API_KEY": "x", "CODAGENT_ANYTHING": "y", "_CODAGENT_COMPLETE": "z"}) == read_environment({})
