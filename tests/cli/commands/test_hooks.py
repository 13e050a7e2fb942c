"""Hooks of the person's own file and of a repository, through the installed command."""

import json

import pytest

from tests.cli.conftest import FIX
from tests.cli.keyboard import typed
from tests.cli.loops import LOCAL

GUARD = '[[hooks]]\nevent = "PreToolUse"\ntools = "Bash"\ncommand = "echo no shell >&2; exit 2"\n'


@pytest.fixture
def own(tmp_path):
    (tmp_path / "config/codagent").mkdir(parents=True)
    return tmp_path / "config/codagent/config.toml"


def test_a_persons_hooks_hold_for_every_repository(codagent, script, repository, own, tmp_path):
    own.write_text(f'{GUARD}[[hooks]]\nevent = "SessionEnd"\ncommand = "cat > {tmp_path}/end.json"\n')
    done = codagent("run", "mend it", "--model", script(FIX), "--json", *LOCAL)
    assert (done.returncode, json.loads(done.stdout)["branch"]) == (0, None), done.stderr
    assert "refused this call: no shell" in codagent("show").stdout
    end = json.loads((tmp_path / "end.json").read_text())
    assert (end["hook_event_name"], end["reason"], end["answer"]) == ("SessionEnd", "done", "put it right")


def test_a_hook_of_the_start_that_fails_ends_the_command(codagent, script, own):
    own.write_text('[[hooks]]\nevent = "SessionStart"\ncommand = "exit 1"\n')
    done = codagent("run", "mend it", "--model", script(FIX), *LOCAL)
    assert (done.returncode, "a hook refused to begin: `exit 1` failed with exit 1" in done.stderr) == (2, True)


@pytest.mark.parametrize("wrong", ['event = "Never"\ncommand = "x"', 'event = "Stop"', 'event = "PreToolUse"\ncommand = "x"\ntimeout = -1'])
def test_hooks_that_do_not_fit_are_refused(codagent, script, own, wrong):
    own.write_text(f"[[hooks]]\n{wrong}\n")
    done = codagent("run", "x", "--model", script(FIX), *LOCAL)
    assert (done.returncode, "[[hooks]] number 1" in done.stderr) == (2, True), done.stderr


def test_a_repositorys_hooks_run_only_when_they_were_allowed(codagent, script, repository):
    (repository / "codagent.toml").write_text(GUARD)
    done = codagent("run", "mend it", "--model", script(FIX), "--json", *LOCAL)
    assert "brings hooks, which run on this machine; you never allowed them, so they do not run" in done.stderr
    assert json.loads(done.stdout)["branch"]
    code, shown = typed(repository, "n\n", "run", "mend it", "--model", script(FIX), *LOCAL)
    assert (code, "PreToolUse Bash: echo no shell >&2; exit 2" in shown, "applied" in shown) == (0, True, False)
    _, shown = typed(repository, "y\n", "run", "mend it", "--model", script(FIX), *LOCAL)
    assert "nothing was changed" in shown
    _, shown = typed(repository, "", "run", "mend it", "--model", script(FIX), *LOCAL)
    assert "nothing was changed" in shown
    assert "brings hooks" not in shown


def test_a_task_file_brings_no_hooks(codagent, script, repository):
    (repository / "tasks.toml").write_text(f'instruction = "x"\nchecks = ["true"]\n{GUARD}')
    done = codagent("loop", "tasks.toml", "--model", script(FIX), *LOCAL)
    assert (done.returncode, "a task file may not bring hooks" in done.stderr) == (2, True)
