"""What a person is told of files that are not in the sandbox."""

import subprocess

import pytest

from codagent.runner.workspace import take_snapshot


class Lines(list):
    """A display that keeps the lines."""

    say = list.append


def run(folder, *command):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")
    return subprocess.run(["git", *identity, *command], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path):
    """A repository with the submodules `a` and `b c`, which are checked out; `a` has the submodule `inner`."""
    for name, submodules in {"inner": {}, "library": {"inner": "inner"}, "project": {"a": "library", "b c": "inner"}}.items():
        root = tmp_path / name
        root.mkdir()
        run(root, "init", "-q")
        (root / "value.h").write_text("42\n")
        for path, origin in submodules.items():
            run(root, "submodule", "add", "-q", str(tmp_path / origin), path)
        run(root, "add", "-A")
        run(root, "commit", "-qm", "first")
    run(tmp_path / "project", "submodule", "update", "-q", "--init", "--recursive")
    return tmp_path / "project"


def told(root):
    lines = Lines()
    take_snapshot(root, lines)
    return lines


def test_nothing_is_said_of_submodules_that_are_checked_out(project):
    assert told(project) == []


def test_submodules_that_are_not_checked_out_are_named_with_the_next_step(project, tmp_path):
    run(project, "clone", "-q", ".", str(tmp_path / "clone"))
    absent = "because these submodules are not checked out"
    command = "git submodule update --init"
    assert told(tmp_path / "clone") == [f"not in the sandbox: the files of a, b c, {absent}; `{command} a 'b c'` gets them"]
    run(tmp_path / "clone", "submodule", "update", "-q", "--init", "a")
    assert told(tmp_path / "clone") == [f"not in the sandbox: the files of b c, a/inner, {absent}; `{command} --recursive` gets them"]


def test_changes_in_submodules_are_named(project):
    (project / "b c/new").write_text("x")
    (project / "a/inner/value.h").write_text("x")
    assert told(project) == ["not in the sandbox: what is not committed in the submodules b c, a/inner; commit it there if it is needed"]


def test_a_submodule_whose_objects_lie_elsewhere_is_named(project, tmp_path):
    (project / "a/.git").write_text(f"gitdir: {tmp_path}/library/.git\n")
    (project / ".git/modules/a").rename(tmp_path / "moved")
    [line] = told(project)
    assert line.startswith("not in the sandbox: the files of a, because the objects of these submodules lie outside of this repository; ")
