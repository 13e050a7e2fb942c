"""The way into a real container and back, as a user who is not root."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from codagent.repository import git
from codagent.sandbox.definition import Definition
from codagent.sandbox.docker.sandbox import DockerSandbox

pytestmark = pytest.mark.docker


@pytest.fixture
def sandbox(python_sandbox: Definition) -> Iterator[DockerSandbox]:
    opened = DockerSandbox.start(python_sandbox, loop="test-git")
    yield opened
    opened.close()


@pytest.fixture
def taken(tmp_path: Path) -> git.Snapshot:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "a.txt").write_text("a\n")
    return git.snapshot(tmp_path)


@pytest.mark.parametrize("before", ["true", "rm -rf .git", "chmod -R 000 .git", "chmod -R 000 .git/objects", "kill -9 $PPID; sleep 1"])
def test_work_goes_in_and_comes_out(sandbox: DockerSandbox, taken: git.Snapshot, before: str) -> None:
    git.copy_in(sandbox, git.pack(taken.root, taken.commit))
    assert sandbox.run("cat a.txt; git status --short; git branch --show-current", timeout=30).output == "a\nwork\n"
    sandbox.run("echo b >b.txt", timeout=30)
    sandbox.run(before, timeout=30)
    tree = git.collect_tree(sandbox, taken.root, taken.commit)
    assert tree
    assert git.list_files(taken.root, tree) == ("a.txt", "b.txt")


def test_a_thousand_files_come_out(sandbox: DockerSandbox, taken: git.Snapshot) -> None:
    git.copy_in(sandbox, git.pack(taken.root, taken.commit))
    sandbox.run("mkdir d; for i in $(seq 1000); do echo $i >d/$i; done", timeout=30)
    tree = git.collect_tree(sandbox, taken.root, taken.commit)
    assert tree
    assert len(git.list_files(taken.root, tree)) == 1001
    assert git.read_file(taken.root, tree, "d/1000") == b"1000\n"
