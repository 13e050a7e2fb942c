"""What is typed after `codagent` when it is no command."""

import os
import pty

import pytest

from codagent.cli.start import complete_arguments
from codagent.errors import UsageError
from tests.cli.conftest import IDLE

COMMANDS, OWN = ("run", "list", "diff", "show", "session"), {"--version", "--help", "-h"}


@pytest.mark.parametrize(
    ("typed_in", "means"),
    [
        (["fix the test"], ["run", "fix the test"]),
        (["fix", "the", "add", "function"], ["run", "fix", "the", "add", "function"]),
        (["--check", "true", "fix it"], ["run", "--check", "true", "fix it"]),
        (["--resume=1126", "--model", "x"], ["session", "--resume=1126", "--model", "x"]),
        (["fix it", "--json"], ["run", "fix it", "--json"]),
        (["list", "--json"], ["list", "--json"]),
        (["--version"], ["--version"]),
        (["--continue"], ["session", "--continue"]),
        (["--resume", "1125"], ["session", "--resume", "1125"]),
        (["version"], ["--version"]),
        (["help"], ["--help"]),
        ([""], ["run", ""]),
        ([" \n"], ["run", " \n"]),
        (["fix\nthe\ttest"], ["run", "fix\nthe\ttest"]),
        (["help", "run"], ["run", "--help"]),
        (["-h"], ["-h"]),
        ([], []),  # a test has no terminal
    ],
)
def test_what_is_no_command_is_a_task(typed_in, means):
    assert complete_arguments(typed_in, COMMANDS, OWN) == means


@pytest.mark.parametrize(
    ("typed_in", "said"),
    [
        (["lst"], "there is no command 'lst'; did you mean `codagent list`?"),
        (["hlp"], "did you mean `codagent help`?"),
        (["shw", "1125"], "did you mean `codagent show`?"),
        (["foo"], "`codagent --help` lists the commands"),
        (["foo", "--json"], "`codagent run foo …` takes words as a task"),
    ],
)
def test_a_word_that_looks_like_a_slip_is_no_task(typed_in, said):
    with pytest.raises(UsageError) as error:
        complete_arguments(typed_in, COMMANDS, OWN)
    assert said in str(error.value)


def test_words_are_run(codagent, script):
    done = codagent("mend", "the", "answer", "--model", script(IDLE), "--sandbox", "local")
    assert (done.returncode, "task: mend the answer\n" in done.stderr) == (0, True), done.stderr
    assert codagent("run", "mend", "it", "--model", script(IDLE), "--sandbox", "local").returncode == 0


def test_without_arguments_a_terminal_gets_a_session(monkeypatch):
    ours, theirs = pty.openpty()
    with os.fdopen(os.dup(theirs)) as stdin, os.fdopen(theirs, "w") as stdout:
        monkeypatch.setattr("sys.stdin", stdin)
        monkeypatch.setattr("sys.stdout", stdout)
        assert complete_arguments([], COMMANDS, OWN) == ["run"]
    os.close(ours)


def test_a_session_takes_what_is_allowed(codagent):
    done = codagent("session", "--allow", "data/**")
    assert (done.returncode, "a session needs a terminal" in done.stderr) == (2, True), done.stderr


def test_a_shell_can_complete_commands(codagent):
    done = codagent(_CODAGENT_COMPLETE="complete_bash", COMP_WORDS="codagent sh", COMP_CWORD="1")
    assert done.stdout.split() == ["show"]
