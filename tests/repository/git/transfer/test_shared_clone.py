"""A repository that borrows the objects of another."""

import subprocess

import pytest

from codagent.errors import RepositoryError
from codagent.repository import git


@pytest.fixture
def lender(tmp_path):
    root = tmp_path / "lender"
    root.mkdir()
    (root / "a.txt").write_text("kept\n")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    return root


def everything(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_commit_that_nothing_refers_to_is_there_with_its_files_and_the_lender_is_as_it_was(lender, tmp_path):
    (lender / "a.txt").write_text("not committed\n")
    commit = git.snapshot(lender).commit
    before = everything(lender)
    git.clone_shared(lender, tmp_path / "borrower", commit)
    assert (tmp_path / "borrower" / "a.txt").read_text() == "not committed\n"
    made = git.commit(tmp_path / "borrower", git.tree_of(tmp_path / "borrower", commit), commit, "on it", trailers={})
    git.publish(tmp_path / "borrower", "loop", 1, made, best=made)
    assert everything(lender) == before


def test_a_hook_of_the_lenders_does_not_come_along(lender, tmp_path):
    hook = lender / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    git.clone_shared(lender, tmp_path / "borrower", git.snapshot(lender).commit)
    assert not (tmp_path / "ran").exists()


def test_a_commit_that_is_gone_is_said(lender, tmp_path):
    with pytest.raises(RepositoryError, match="git rev-parse failed"):
        git.clone_shared(lender, tmp_path / "borrower", "0" * 40)
