"""An applied change is taken back, byte for byte, and what was done beside it stays."""

from __future__ import annotations

import pytest

from codagent.errors import RepositoryError
from codagent.repository import git
from codagent.repository.git.changes.undo import record_change
from codagent.repository.git.changes.work_tree import Changes
from codagent.repository.git.command import Git
from tests.repository.git.changes.changing import listing


def facts(root):
    """Every file with its bytes and permissions."""
    files = (root / name for name in listing(root))
    return {file: (file.read_bytes(), file.stat().st_mode) for file in files if not file.is_symlink()}


def test_all_kinds_of_changes_are_taken_back(repository, change):
    before, index = listing(repository.root), (repository.root / ".git/index").read_bytes()
    files = {"a.txt": "one\n2\n", "lib/b.txt": None, "new/deep/c.txt": "c\n", "run": "#!/bin/sh\n", "link": "-> a.txt", 'o\n"d\\d': "o\n"}
    assert git.apply(repository.root, *change(files), label="0301") == ()
    undone = git.undo(repository.root)
    assert (undone.label, undone.conflicts, undone.paths) == ("0301", (), tuple(sorted(files)))
    assert listing(repository.root) == before
    assert not (repository.root / "new").exists()
    assert (repository.root / ".git/index").read_bytes() == index
    assert not (repository.root / ".codagent").exists()


def test_bytes_and_permissions_that_git_does_not_keep_come_back(repository, change):
    repository.write(".gitattributes", "*.txt text=auto\n")
    repository.commit()
    repository.write("a.txt", b"one\r\ntwo\nthree\r\n")
    (repository.root / "a.txt").chmod(0o600)
    (repository.root / "lib/b.txt").chmod(0o640)
    before = facts(repository.root)
    base, result = change({"a.txt": None, "lib/b.txt": "#!/bin/sh\n"}, start=git.snapshot(repository.root).commit)
    assert git.apply(repository.root, base, result) == ()
    git.undo(repository.root)
    assert facts(repository.root) == before


def test_changes_are_taken_back_one_after_the_other_also_after_a_commit(repository, change):
    base, first = change({"a.txt": "one\n2\nthree\n"})
    _, second = change({"c.txt": "c\n"}, start=first)
    git.apply(repository.root, base, first, label="first")
    git.apply(repository.root, first, second, label="second")
    repository.commit()
    assert git.undo(repository.root).label == "second"
    assert git.undo(repository.root).label == "first"
    assert listing(repository.root) == {".gitignore": "*.log\n", "a.txt": "one\ntwo\nthree\n", "lib/b.txt": "b\n"}
    with pytest.raises(RepositoryError, match="no applied change"):
        git.undo(repository.root)


def test_edits_beside_the_change_stay(repository, change):
    lines = "".join(f"{number}\n" for number in range(9))
    repository.write("list.txt", lines)
    repository.commit()
    base, result = change({"list.txt": lines.replace("8", "agent"), "new.txt": "new\n"}, start=git.snapshot(repository.root).commit)
    git.apply(repository.root, base, result)
    repository.write("list.txt", lines.replace("8", "agent").replace("0", "mine"))
    repository.write("mine.txt", "mine\n")
    assert git.undo(repository.root).paths == ("list.txt", "new.txt")
    assert listing(repository.root)["list.txt"] == lines.replace("0", "mine")
    assert listing(repository.root)["mine.txt"] == "mine\n"


@pytest.mark.parametrize(
    ("edits", "named"),
    [
        ({"a.txt": "one\nmine\nthree\n"}, ("a.txt",)),
        ({"new.txt": "new, and mine\n"}, ("new.txt",)),
        ({"lib/b.txt": "made again\n"}, ("lib/b.txt",)),
        ({"a.txt": "mine\n", "new.txt": "mine\n"}, ("a.txt", "new.txt")),
    ],
)
def test_an_edit_in_the_same_place_is_named_and_nothing_is_taken_back(repository, change, edits, named):
    git.apply(repository.root, *change({"a.txt": "one\n2\nthree\n", "new.txt": "new\n", "lib/b.txt": None}))
    for name, text in edits.items():
        repository.write(name, text)
    before = listing(repository.root)
    assert git.undo(repository.root).conflicts == named
    assert listing(repository.root) == before
    assert git.undo(repository.root).conflicts == named  # it can be taken back later


def test_a_link_out_of_the_repository_is_not_followed(repository, change, tmp_path):
    git.apply(repository.root, *change({"lib/b.txt": "agent\n"}))
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/b.txt").write_text("agent\n")
    (repository.root / "lib/b.txt").unlink()
    (repository.root / "lib").rmdir()
    (repository.root / "lib").symlink_to(tmp_path / "outside")
    assert git.undo(repository.root).conflicts == ("lib/b.txt",)
    assert (tmp_path / "outside/b.txt").read_text() == "agent\n"


def test_what_was_taken_back_by_hand_is_not_taken_back_again(repository, change):
    base, result = change({"a.txt": "one\n2\nthree\n"})
    git.apply(repository.root, base, result)
    repository.write("a.txt", "one\ntwo\nthree\n")
    assert git.undo(repository.root) == git.Undone("", ())


def test_a_change_that_could_not_be_written_is_not_taken_back(repository, tmp_path):
    (tmp_path / "new").mkdir()
    changes = Changes(written=("a.txt",), removed=("a.txt",))
    with pytest.raises(RepositoryError, match="no room"), record_change(Git(repository.root), tmp_path / "new", changes, "0301"):
        raise RepositoryError("no room")
    with pytest.raises(RepositoryError, match="no applied change"):
        git.undo(repository.root)


@pytest.mark.parametrize("message", ["text", "[]", '{"label": "x", "modes": {"a.txt": "all"}}'])
def test_a_ref_of_somebody_else_is_refused(repository, message):
    commit = repository.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", message)
    repository.git("update-ref", "refs/codagent/applied", commit)
    with pytest.raises(RepositoryError, match="is not codagent's"):
        git.undo(repository.root)


def test_nothing_is_written_into_the_git_folder(repository):
    blob = repository.git("hash-object", "-w", "--stdin", data=b"#!/bin/sh\n")
    tree = repository.git("mktree", data=f"100755 blob {blob}\tevil\n".encode())
    tree = repository.git("mktree", data=f"040000 tree {tree}\t.git\n".encode())
    before = repository.git("commit-tree", tree, "-m", "before")
    after = repository.git("commit-tree", "HEAD^{tree}", "-p", before, "-m", '{"label": "", "modes": {}}')
    repository.git("update-ref", "refs/codagent/applied", after)
    with pytest.raises(RepositoryError, match="invalid path"):
        git.undo(repository.root)
    assert not (repository.root / ".git/evil").exists()


def test_markers_are_written_when_they_are_wanted_and_can_be_taken_back(repository, change):
    base, result = change({"a.txt": "one\nagent\nthree\n", "c.txt": "c\n"})
    repository.write("a.txt", "one\nmine\nthree\n")
    before = listing(repository.root)
    assert git.apply(repository.root, base, result, markers=True) == ("a.txt",)
    assert listing(repository.root)["a.txt"] == "one\n<<<<<<< yours\nmine\n=======\nagent\n>>>>>>> codagent\nthree\n"
    assert listing(repository.root)["c.txt"] == "c\n"
    git.undo(repository.root)
    assert listing(repository.root) == before


def test_it_is_known_whether_a_change_is_there(repository, change):
    base, result = change({"a.txt": "one\n2\nthree\n"})
    assert not git.is_applied(repository.root, base, result)
    git.apply(repository.root, base, result)
    assert git.is_applied(repository.root, base, result)
    git.undo(repository.root)
    assert not git.is_applied(repository.root, base, result)
