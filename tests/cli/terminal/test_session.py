"""The plain session, driven through a real prompt-toolkit input."""

import subprocess

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from codagent.cli.terminal.paint import paint
from codagent.cli.terminal.session import session
from codagent.errors import ModelError
from codagent.repository import git


@pytest.fixture
def changed(tmp_path):
    """A repository, and a change of its only file that is not in the working tree."""
    root = tmp_path / "repository"
    root.mkdir()

    def run(*arguments):
        return subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=root, check=True, capture_output=True, text=True
        )

    (root / "f").write_text("old\n")
    run("init", "-q")
    run("add", "-A")
    run("commit", "-qm", "first")
    (root / "f").write_text("new\n")
    run("commit", "-qam", "second")
    after = run("rev-parse", "HEAD").stdout.strip()
    run("reset", "-q", "--hard", "HEAD~1")
    return root, git.snapshot(root).commit, after


def typed(keys, root, do, tmp_path):
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        pipe.send_text(keys)
        session(root, do, history=tmp_path / "state/history", color=False)


def test_a_change_is_shown_and_put_on_the_working_tree_when_wanted(changed, tmp_path, capsys):
    root, before, after = changed
    asked = []

    def do(task):
        asked.append(task)
        return ["outcome: done"], (before, after)

    typed("mend it\ry\x04", root, do, tmp_path)
    assert asked == ["mend it"]
    assert (root / "f").read_text() == "new\n"
    said = capsys.readouterr().out
    assert "+new" in said
    assert said.endswith("applied\n")


def test_a_change_that_is_not_wanted_stays_away_and_the_next_task_is_asked_for(changed, tmp_path):
    root, before, after = changed
    asked = []

    def do(task):
        asked.append(task)
        return [], (before, after)

    typed("one\rn\rtwo\rn\r\x04", root, do, tmp_path)
    assert asked == ["one", "two"]
    assert (root / "f").read_text() == "old\n"


def test_an_error_ends_the_task_and_not_the_session(changed, tmp_path, capsys):
    root, *_ = changed
    asked = []

    def do(task):
        asked.append(task)
        raise ModelError("endpoint down")

    typed("one\rtwo\r\x04", root, do, tmp_path)
    assert asked == ["one", "two"]
    assert capsys.readouterr().out.count("codagent: endpoint down") == 2


def test_a_patch_cannot_paint_the_terminal_itself():
    assert (
        paint("+\x1b]0;title\x07\x1b[31mred\n-gone", color=True) == "\x1b[32m+\\x1b]0;title\\x07\\x1b[31mred\x1b[0m\n\x1b[31m-gone\x1b[0m"
    )
    assert paint("+\x1b[31mred", color=False) == "+\\x1b[31mred"
