"""Which repository is meant, and that no other one is reached."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from codagent.errors import RepositoryError
from codagent.repository import git
from codagent.repository.git import command
from codagent.repository.git.command import Git


def test_the_root_is_found_from_a_folder_below(repository):
    assert git.find_root(repository.root / "lib") == repository.root


def test_a_folder_that_is_no_repository_is_refused(tmp_path):
    with pytest.raises(RepositoryError, match="not in a git repository; run `git init`"):
        git.find_root(tmp_path)


def test_a_bare_repository_is_refused(tmp_path):
    subprocess.run(["git", "init", "-q", "--bare", tmp_path], check=True)
    with pytest.raises(RepositoryError, match="is a bare repository"):
        git.find_root(tmp_path)


def test_the_git_folder_itself_is_refused(repository):
    with pytest.raises(RepositoryError, match=r"is inside the \.git folder"):
        git.find_root(repository.root / ".git" / "objects")


def test_a_folder_that_is_missing_is_refused(tmp_path):
    with pytest.raises(RepositoryError, match="is not a folder"):
        git.find_root(tmp_path / "nowhere")


def test_a_machine_without_git_is_told_so(repository):
    code = f"from pathlib import Path; from codagent.repository import git; git.snapshot(Path({str(repository.root)!r}))"
    source = str(Path(git.__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": "/nowhere", "PYTHONPATH": source}, capture_output=True, text=True, check=False
    )
    assert done.stderr.endswith("RepositoryError: git cannot be started; install git 2.38 or later\n")


@pytest.mark.parametrize("ask", [git.snapshot, git.private_dir, lambda root: Git(root)("ls-files")])
def test_a_repository_of_another_user_is_refused_with_two_ways_out(repository, ask, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for such tests
    with pytest.raises(RepositoryError, match=r"belongs to another user .*; run as that user, or add it to git's safe\.directory"):
        ask(repository.root)


def test_variables_of_a_surrounding_git_command_lead_nowhere_else(repository, tmp_path, monkeypatch):
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.hooksPath'='/tmp'")
    assert git.find_root(repository.root / "lib") == repository.root
    assert git.snapshot(repository.root).dirty is False
    assert Git(repository.root).line("config", "core.hooksPath") == "/dev/null"


def test_the_paths_of_a_linked_work_tree_are_right_also_in_a_folder_with_a_line_end(repository, tmp_path):
    moved = tmp_path / "two\nlines"
    repository.root.rename(moved)
    linked = tmp_path / "linked"
    subprocess.run(["git", "worktree", "add", "-q", "--detach", linked], cwd=moved, check=True)
    assert Git(linked).path("objects") == moved / ".git/objects"
    assert Git(linked).path("index") == moved / ".git/worktrees/linked/index"
    assert Git(moved).path("info/exclude") == moved / ".git/info/exclude"


def test_a_signal_to_all_processes_of_a_terminal_does_not_reach_git(repository):
    told = Git(repository.root)("-c", "alias.session=!cut -d' ' -f6 /proc/self/stat", "session")
    assert int(told) != os.getsid(0)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_ends_git_ends_the_command_too(repository, monkeypatch, number):
    """A terminal that is closed sends one to all processes of a command, and git may end first."""
    opened = Git(repository.root)
    monkeypatch.setattr(command, "_execute", lambda *_: (-number, b"", ""))
    with pytest.raises(KeyboardInterrupt):
        opened("status")
    monkeypatch.setattr(command, "_execute", lambda *_: (-signal.SIGSEGV, b"", ""))
    with pytest.raises(RepositoryError, match="exit code -11"):
        opened("status")
