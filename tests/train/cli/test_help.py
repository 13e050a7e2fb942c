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


@pytest.mark.parametrize("name", COMMANDS)
def test_a_value_is_named_in_capitals_or_is_one_of_a_list(name):
    shown = COMMANDS[name].get_help(typer.Context(COMMANDS[name]))
    assert re.findall(r"<[a-z]+>|(?<!\[)\[(?!required)[a-z]+\]|\{[a-z]+\}", shown) == []


def test_help_loads_nothing_heavy():
    loaded = loaded_by("sys.argv = ['codagent-train', '--help']; import codagent_train.cli; codagent_train.cli.main()")
    assert loaded & (HEAVY | {"numpy", "transformers", "safetensors", "matplotlib"}) == set()


@pytest.mark.parametrize(
    "line", ["tasks here --out there --count x", "eval here --loops 0", "improve here --out there --hours none", "serve here --port 70000"]
)
def test_a_number_that_cannot_be_used_is_refused_in_plain_words(line):
    name, *words = line.split()
    with pytest.raises(typer.BadParameter, match=rf"'{words[-1]}' is not a (whole )?number of at least [\d.]+( and at most 65535)?$"):
        COMMANDS[name].make_context(name, words)
