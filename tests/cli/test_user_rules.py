"""The user's own AGENTS.md, through the installed command."""

import json
import os

import pytest

from tests.cli.conftest import CHECK, FIX, IDLE

LOCAL = ("--sandbox", "local")


@pytest.fixture
def rules(tmp_path):
    file = tmp_path / "config/codagent/AGENTS.md"
    file.parent.mkdir(parents=True)
    file.write_text("always be quick\n")
    return file


def test_they_are_shown_and_the_person_is_told(codagent, script, rules):
    done = codagent("run", "x", "--model", script(IDLE), *LOCAL)
    assert done.stderr.count("instructions read: your own AGENTS.md\n") == 1
    assert "The user's own instructions:\nalways be quick\n" in codagent("show", "--full").stdout


def test_without_xdg_they_are_in_the_home(codagent, script, rules, tmp_path):
    (tmp_path / ".config").symlink_to(tmp_path / "config")
    assert "your own AGENTS.md" in codagent("run", "x", "--model", script(IDLE), *LOCAL, XDG_CONFIG_HOME="").stderr


def test_a_replay_is_the_same_when_they_have_changed(codagent, script, rules):
    codagent("loop", "x", "--model", script([*FIX, *FIX]), "--check", CHECK, "--rewrite", "never", *LOCAL)
    rules.write_text("always be slow\n")
    done = codagent("replay", *LOCAL)
    assert (done.returncode, done.stdout.partition(":")[0]) == (0, "the same")


def test_a_link_is_followed(codagent, script, rules, tmp_path):
    rules.rename(tmp_path / "dotfile")
    rules.symlink_to(tmp_path / "dotfile")
    assert "your own AGENTS.md" in codagent("run", "x", "--model", script(IDLE), *LOCAL).stderr


@pytest.mark.parametrize("kind", ["folder", "loop", "pipe", "large"])
def test_what_cannot_be_read_is_left_out_with_a_warning(codagent, script, rules, kind):
    rules.unlink()
    if kind == "folder":
        rules.mkdir()
    elif kind == "loop":
        rules.symlink_to(rules)
    elif kind == "pipe":
        os.mkfifo(rules)
    else:
        rules.write_bytes(bytes(5 << 20))
    done = codagent("run", "x", "--model", script(IDLE), *LOCAL)
    assert done.returncode == 0
    assert f"{rules} was not read: " in done.stderr


def test_of_a_long_text_the_beginning_is_kept(codagent, script, rules, repository):
    rules.write_bytes(b"always be q\xff\n" * 100_000)
    done = codagent("run", "x", "--model", script(IDLE), *LOCAL)
    assert "only the beginning of your own AGENTS.md was read" in done.stderr
    record = next((repository / ".codagent/loops").glob("*/record.jsonl"))
    assert record.stat().st_size < 150_000


def test_a_loop_that_goes_on_keeps_those_that_it_began_with(codagent, script, rules):
    arguments = ("--model", script([*IDLE, *FIX]), "--check", CHECK, "--rewrite", "never", "--iterations", "1", "--json", *LOCAL)
    loop_id = json.loads(codagent("loop", "x", *arguments).stdout)["id"]
    rules.write_text("always be slow\n")
    assert codagent("loop", "--resume", loop_id, "--iterations", "2", *LOCAL).returncode == 0
    shown = codagent("show", "--full").stdout
    assert (shown.count("always be quick"), shown.count("always be slow")) == (2, 0)
