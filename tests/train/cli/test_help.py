"""What --help says of each command, and what it costs."""

import re

import pytest
import typer
from typer.main import get_command

from codagent_train.cli import app
from tests.test_imports import HEAVY, loaded_by

COMMANDS = get_command(app).commands


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_shows_one_example_that_it_would_take(name):
    command = COMMANDS[name]
    (example,) = re.findall(r"Example: codagent-train (.*)", command.epilog)
    first, *words = example.split()
    assert first == name
    command.make_context(name, words)
    assert len(command.get_short_help_str(200)) <= 63


def test_help_loads_nothing_heavy():
    loaded = loaded_by("sys.argv = ['codagent-train', '--help']; import codagent_train.cli; codagent_train.cli.main()")
    assert loaded & (HEAVY | {"numpy", "transformers", "safetensors", "matplotlib"}) == set()


@pytest.mark.parametrize("words", ["tasks --count x", "eval --loops 0", "improve --hours none", "serve --port 70000"])
def test_a_number_that_cannot_be_used_is_refused_in_plain_words(words):
    name, option, given = words.split()
    with pytest.raises(typer.BadParameter, match=rf"'{given}' is not a (whole )?number of at least [\d.]+( and at most 65535)?$"):
        COMMANDS[name].make_context(name, ["there", "--out", "here", option, given] if name != "serve" else ["there", option, given])
