"""What the README says of the command line is so."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from codagent import errors
from codagent.cli.app import app
from codagent.runner.result import KEYS
from codagent.settings.settings import Settings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(get_command(app).commands))
def test_every_command_is_told(name):
    assert re.search(rf"codagent (\w+ · )*{name}\b|\b{name} ·|· {name}\b", README)


def test_no_flag_is_told_that_there_is_not():
    program = get_command(app)
    known = {option for command in [program, *program.commands.values()] for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*", README)) <= known


def test_the_keys_of_the_json_object_are_told():
    assert f"`--json` prints one object on stdout: `{', '.join(KEYS)}`" in README


def test_exit_codes_are_those_of_the_errors():
    told = dict(re.findall(r"^\| (\d+) \| (.*) \|$", README, re.MULTILINE))
    for kind in (
        errors.UsageError,
        errors.ModelError,
        errors.SandboxError,
        errors.RepositoryError,
        errors.RecordError,
        errors.LimitReached,
    ):
        assert str(kind.exit_code) in told
    assert told["130"].startswith("interrupted")


def test_the_default_limits_are_told():
    limits = Settings().limits
    told = f"--max-steps {limits.steps} --max-tokens {limits.tokens} --max-seconds {limits.seconds:.0f} --max-usd {limits.usd:.0f}"
    assert told in README
