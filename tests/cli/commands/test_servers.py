"""MCP servers of the person's own file and of a repository, through the installed command."""

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CHECK, FIX, call
from tests.cli.keyboard import typed
from tests.cli.loops import LOCAL

SERVER = str(Path(__file__).parents[2] / "mcp/server.py")
ADD = [call("mcp__demo__add", a=2, b=3), call("finish", summary="added")]
NOTE = [call("mcp__theirs__note", line="ran"), call("finish", summary="noted")]


@pytest.fixture
def own(tmp_path):
    """The person's file names a server."""
    (tmp_path / "config/codagent").mkdir(parents=True)
    file = tmp_path / "config/codagent/config.toml"
    file.write_text(f'[mcp.demo]\ncommand = "{sys.executable}"\nargs = ["{SERVER}"]\n')
    return file


@pytest.fixture
def brought(repository):
    """The repository names a server, whose start leaves a file."""
    start = f"touch started; exec {sys.executable} {SERVER}"
    (repository / ".mcp.json").write_text(json.dumps({"mcpServers": {"theirs": {"command": "bash", "args": ["-c", start]}}}))
    return repository / "started"


@pytest.mark.parametrize("command", [("run",), ("loop", "--iterations", "1", "--check", CHECK)])
def test_a_persons_servers_are_used_by_runs_and_loops(codagent, script, own, command):
    name, *flags = command
    codagent(name, "add", *flags, "--model", script([*ADD, "<notes>\n- none\n</notes>"]), *LOCAL)
    assert "ok\n5" in codagent("show", "--full").stdout


def test_a_repositorys_servers_start_only_when_they_were_allowed(codagent, script, repository, brought):
    done = codagent("run", "note", "--model", script(NOTE), *LOCAL)
    assert "brings MCP servers, which run on this machine; you never allowed them, so they do not run" in done.stderr
    assert "there is no tool 'mcp__theirs__note'" in codagent("show", "--full").stdout
    code, shown = typed(repository, "n\n", "run", "note", "--model", script(NOTE), *LOCAL)
    assert (code, "theirs: bash -c touch started; exec" in shown, brought.exists()) == (0, True, False)
    typed(repository, "y\n", "run", "note", "--model", script(NOTE), *LOCAL)
    assert (brought.exists(), (repository / "noted.txt").read_text()) == (True, "ran\n")
    _, shown = typed(repository, "", "run", "note", "--model", script(NOTE), *LOCAL)
    assert ("brings MCP servers" in shown, (repository / "noted.txt").read_text()) == (False, "ran\nran\n")
    brought.unlink()
    typed(repository, "", "loop", "note", "--iterations", "1", "--check", CHECK, "--model", script([*NOTE, *FIX]), *LOCAL)
    assert not brought.exists()


def test_a_call_is_made_when_the_person_says_so_on_a_terminal(codagent, script, repository, own):
    own.write_text(own.read_text() + 'approval = "ask"\n')
    for keys, answer in (("y\n", "ok\n5"), ("n\n", "did not allow this call of mcp__demo__add")):
        config = str(own.parents[1])
        code, shown = typed(repository, keys, "run", "add", "--model", script(ADD), *LOCAL, XDG_CONFIG_HOME=config)
        assert (code, 'the model wants to call mcp__demo__add {"a": 2, "b": 3}' in shown) == (0, True), shown
        assert answer in codagent("show", "--full").stdout


@pytest.mark.parametrize("command", [("run",), ("loop", "--iterations", "1", "--check", CHECK)])
def test_where_nobody_is_asked_a_server_that_wants_it_is_not_used(codagent, script, own, command):
    own.write_text(own.read_text() + 'approval = "ask"\n')
    name, *flags = command
    done = codagent(name, "add", *flags, "--model", script([*ADD, "<notes>\n- none\n</notes>"]), *LOCAL)
    assert "the MCP server demo is not used: its calls are to be approved, and nobody is asked here\n" in done.stderr
    assert "there is no tool 'mcp__demo__add'" in codagent("show", "--full").stdout


def test_a_replay_asks_no_server(codagent, script, repository, brought):
    typed(repository, "y\n", "run", "note", "--model", script(NOTE), *LOCAL)
    assert "the same: 2 steps" in codagent("replay", "--sandbox", "local").stdout
    assert (repository / "noted.txt").read_text() == "ran\n"


@pytest.mark.parametrize("text", ["{", '{"mcpServers": {"a": {"command": ""}}}'])
def test_servers_of_a_repository_that_are_not_usable_end_the_command(codagent, script, repository, text):
    (repository / ".mcp.json").write_text(text)
    done = codagent("run", "x", "--model", script(FIX), *LOCAL)
    assert (done.returncode, ".mcp.json" in done.stderr) == (2, True)


def test_a_task_file_brings_no_servers(codagent, script, repository):
    (repository / "tasks.toml").write_text('instruction = "x"\nchecks = ["true"]\n[mcp.a]\ncommand = "x"\n')
    done = codagent("loop", "tasks.toml", "--model", script(FIX), *LOCAL)
    assert (done.returncode, "a task file may not bring" in done.stderr) == (2, True)
