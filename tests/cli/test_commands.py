"""Each command is found by its name, and costs the import of its own code only."""

import os
import re
import subprocess
import sys

import pytest

from codagent.cli.start import CommandTable
from tests.cli.conftest import CODAGENT

TABLE = CommandTable()
LOADED = """
import sys
from codagent.cli.start import CommandTable
CommandTable()[sys.argv[1]]
print(*sorted(name for name in sys.modules if name.startswith("codagent.cli.commands.")))
"""


@pytest.mark.parametrize("name", TABLE)
def test_each_command_has_its_name_and_an_example(name: str) -> None:
    assert TABLE[name].name == name
    assert f"codagent {name}" in TABLE[name].epilog


def test_what_is_no_command_is_not_there() -> None:
    assert "rnu" not in TABLE
    assert TABLE.get("") is None


@pytest.mark.parametrize(("name", "left_out"), [("run", "commands.loops"), ("undo", "commands.machine"), ("init", "commands.run")])
def test_a_command_does_not_load_the_code_of_others(name: str, left_out: str) -> None:
    loaded = subprocess.run([sys.executable, "-c", LOADED, name], capture_output=True, text=True, check=True).stdout.split()
    assert loaded
    assert not [module for module in loaded if left_out in module]


@pytest.mark.parametrize("name", TABLE)
def test_no_list_of_commands_cuts_what_a_command_does(name: str) -> None:
    for command in (TABLE[name], *getattr(TABLE[name], "commands", {}).values()):
        assert len(command.get_short_help_str(200)) <= 66


@pytest.mark.parametrize("name", ["show", "diff", "apply", "list", "clean", "report"])
def test_what_takes_every_record_says_so(name: str) -> None:
    wide = os.environ | {"COLUMNS": "200"}
    told = subprocess.run([CODAGENT, name, "--help"], capture_output=True, text=True, check=True, env=wide).stdout
    assert re.search(r"session, run (or|and) loop|sessions, runs and loops", told)
    assert "a loop" not in told
