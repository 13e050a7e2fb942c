"""The way into a real container and back, as a user who is not root."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from codagent.errors import SandboxError
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
def snapshot(tmp_path: Path) -> git.Snapshot:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "a.txt").write_text("a\n")
    return git.snapshot(tmp_path)


@pytest.mark.parametrize("before", ["true", "rm -rf .git", "chmod -R 000 .git", "chmod -R 000 .git/objects", "kill -9 $PPID; sleep 1"])
def test_work_goes_in_and_comes_out(sandbox: DockerSandbox, snapshot: git.Snapshot, before: str) -> None:
    git.copy_in(sandbox, git.pack(snapshot.root, snapshot.commit))
    assert sandbox.run("cat a.txt; git status --short; git branch --show-current", timeout=30).output == "a\nwork\n"
    sandbox.run("echo b >b.txt", timeout=30)
    sandbox.run(before, timeout=30)
    tree = git.collect_tree(sandbox, snapshot.root, snapshot.commit)
    assert tree
    assert git.list_files(snapshot.root, tree) == ("a.txt", "b.txt")


LEFT_BEHIND = {
    "sleepers at the limit": "python3 -c 'import os, time\nwhile True: os.fork() or time.sleep(999)'",
    "a bomb of pipes": "bomb() { bomb | bomb & }; bomb; sleep 1",
    "a bomb of forks": "perl -e 'fork while 1' & sleep 1",
    "a pool that leaks": "python3 -c 'import os, time\nfor i in range(400): os.fork() or (os.setsid(), time.sleep(999))'",
    "processes that are stopped": "for i in $(seq 400); do sleep 999 & done; kill -STOP -1",
    "output closed": "chmod 000 /output",
    "output full": "mkdir /output/d; head -c 1G /dev/zero >/output/d/f",
    "output filled in the background": "(while sleep 0.1; do mkdir -p /output/d; head -c 1G /dev/zero >>/output/d/f; done) &",
    "logs that are folders": "for i in $(seq 9); do mkdir -p /output/00000$i.log/x; done",
    "logs that are pipes": "for i in $(seq 9); do rm -f /output/00000$i.log; mkfifo /output/00000$i.log; done",
}


@pytest.mark.parametrize("left", LEFT_BEHIND)
def test_nothing_that_is_left_behind_costs_work(sandbox: DockerSandbox, snapshot: git.Snapshot, left: str) -> None:
    git.copy_in(sandbox, git.pack(snapshot.root, snapshot.commit))
    sandbox.run(f"echo b >b.txt; {LEFT_BEHIND[left]}", timeout=5)
    started = time.monotonic()
    tree = git.collect_tree(sandbox, snapshot.root, snapshot.commit)
    assert tree
    assert git.list_files(snapshot.root, tree) == ("a.txt", "b.txt")
    assert time.monotonic() - started < 200


IGNORED = "echo b >b.txt; echo build/ >.gitignore; mkdir build"
FULL = {
    "room": f"{IGNORED}; head -c 2G /dev/zero >build/x",
    "room and small files": f"{IGNORED}; head -c 2G /dev/zero >build/x; for i in $(seq 100); do echo x >build/$i; done",
    "files without content, until the memory for them is used up": (
        f'{IGNORED}; python3 -c \'for i in range(10**9): open(f"build/{{i}}", "w").close()\''
    ),
}


@pytest.mark.parametrize("full", FULL)
def test_work_comes_out_of_a_workspace_without_room(python_sandbox: Definition, snapshot: git.Snapshot, full: str) -> None:
    small = replace(python_sandbox, memory_mb=256, workspace_mb=128, tmp_mb=32, output_mb=16)
    with closing(DockerSandbox.start(small, loop="test-git")) as sandbox:
        git.copy_in(sandbox, git.pack(snapshot.root, snapshot.commit))
        sandbox.run(FULL[full], timeout=120)
        tree = git.collect_tree(sandbox, snapshot.root, snapshot.commit)
        assert tree
        assert git.list_files(snapshot.root, tree) == (".gitignore", "a.txt", "b.txt")
        assert sandbox.run("ls -d /tmp/codagent*", timeout=30).exit_code != 0


def test_a_thousand_files_come_out(sandbox: DockerSandbox, snapshot: git.Snapshot) -> None:
    git.copy_in(sandbox, git.pack(snapshot.root, snapshot.commit))
    sandbox.run("mkdir d; for i in $(seq 1000); do echo $i >d/$i; done", timeout=30)
    tree = git.collect_tree(sandbox, snapshot.root, snapshot.commit)
    assert tree
    assert len(git.list_files(snapshot.root, tree)) == 1001
    assert git.read_file(snapshot.root, tree, "d/1000") == b"1000\n"


def add_submodule(root: Path, path: str) -> None:
    """Make the folder `path` a submodule of the repository at `root`."""
    for folder, *command in (
        (root / path, "init", "-q"),
        (root / path, "add", "-A"),
        (root / path, "commit", "-qm", "x"),
        (root, "add", "-A"),
    ):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=folder, check=True, capture_output=True)


def test_a_submodule_goes_in_and_what_is_done_to_it_stays(sandbox: DockerSandbox, snapshot: git.Snapshot) -> None:
    root, said = snapshot.root, list[str]()
    (root / "vendor/it's").mkdir(parents=True)
    (root / "vendor/it's/value.h").write_text("42\n")
    add_submodule(root, "vendor/it's")
    base = git.snapshot(root).commit
    git.copy_in(sandbox, git.pack(root, base))
    shown = sandbox.run("cat vendor/*/value.h; touch vendor/*/value.h; git status --short", timeout=30)
    assert (shown.output, git.collect_tree(sandbox, root, base, said.append), said) == ("42\n", None, [])
    sandbox.run("rm -r vendor; echo b >b.txt; echo 43 >vendor", timeout=30)
    tree = git.collect_tree(sandbox, root, base, said.append)
    assert tree
    assert git.list_files(root, tree) == ("a.txt", "b.txt")
    assert git.list_submodules(root, tree) == git.list_submodules(root, base)
    assert said == ["left behind in the sandbox: vendor/it's; what is in a submodule does not come out"]


def test_a_submodule_without_room_is_said(python_sandbox: Definition, snapshot: git.Snapshot) -> None:
    (snapshot.root / "vendor").mkdir()
    (snapshot.root / "vendor/data").write_bytes(random.Random(0).randbytes(48 << 20))
    add_submodule(snapshot.root, "vendor")
    small = replace(python_sandbox, memory_mb=256, workspace_mb=32, tmp_mb=32, output_mb=16)
    with closing(DockerSandbox.start(small, loop="test-git")) as sandbox, pytest.raises(SandboxError, match=r"did not fit .* workspace_mb"):
        git.copy_in(sandbox, git.pack(snapshot.root, git.snapshot(snapshot.root).commit))
