"""A part of a change: some files, some hunks."""

from __future__ import annotations

import itertools

import pytest

from codagent.repository import git
from tests.repository.git.changes.changing import listing

LINES = [f"{number}" for number in range(40)]


def text(*changed, end="\n"):
    return "\n".join(f"{line} changed" if int(line) in changed else line for line in LINES) + end


@pytest.fixture
def start(repository):
    repository.write("list.txt", text())
    repository.commit()
    return git.snapshot(repository.root).commit


def apply_part(repository, base, result, chosen):
    assert git.apply(repository.root, base, git.select(repository.root, base, result, chosen)) == ()


@pytest.mark.parametrize("numbers", [numbers for size in range(4) for numbers in itertools.combinations(range(3), size)])
def test_any_of_the_hunks_of_a_file_can_be_taken(repository, change, start, numbers):
    places = (2, 20, 39)
    base, result = change({"list.txt": text(*places)}, start)
    (changed,) = git.list_changed(repository.root, base, result)
    assert [hunk.text.count("changed") for hunk in changed.hunks] == [1, 1, 1]
    apply_part(repository, base, result, {"list.txt": numbers})
    assert listing(repository.root)["list.txt"] == text(*(places[number] for number in numbers))


@pytest.mark.parametrize(
    ("before", "after", "number", "taken"),
    [
        ("a\nb\nc\n", "new\na\nb\nc\n", 0, "new\na\nb\nc\n"),
        ("a\nb\n", "a\nb\nend", 0, "a\nb\nend"),
        ("a\nb", "a\nb\n", 0, "a\nb\n"),
        ("", "a\n", 0, "a\n"),
        ("a\n", "", 0, ""),
        ("a\r\nb\r\n", "a\r\nb\n", 0, "a\r\nb\n"),
        ("a\x0cb\x85c\n1\n2\n3\n4\n5\n6\n7\n8\n", "a\x0cb\x85C\n1\n2\n3\n4\n5\n6\n7\nend\n", 1, "a\x0cb\x85c\n1\n2\n3\n4\n5\n6\n7\nend\n"),
    ],
)
def test_lines_are_taken_byte_for_byte(repository, change, before, after, number, taken):
    repository.write("a.txt", before)
    repository.commit()
    base, result = change({"a.txt": after}, git.snapshot(repository.root).commit)
    apply_part(repository, base, result, {"a.txt": [number]})
    assert (repository.root / "a.txt").read_bytes() == taken.encode()


def test_files_are_taken_as_a_whole(repository, change, start):
    files = {"a.txt": None, "lib/b.txt": "#!/bin/sh\n", "new.txt": "new\n", "left.txt": "left\n", "list.txt": text(1)}
    base, result = change(files, start)
    kinds = {changed.path: (changed.kind, len(changed.hunks)) for changed in git.list_changed(repository.root, base, result)}
    assert kinds["a.txt"] == ("removed", 0)
    assert kinds["new.txt"] == ("added", 0)
    assert kinds["lib/b.txt"] == ("changed", 1)
    apply_part(repository, base, result, dict.fromkeys(("a.txt", "lib/b.txt", "new.txt")))
    assert set(listing(repository.root)) == {".gitignore", "lib/b.txt", "new.txt", "list.txt"}
    assert (repository.root / "lib/b.txt").stat().st_mode & 0o111
    assert listing(repository.root)["list.txt"] == text()


@pytest.mark.parametrize("new", ["-> a.txt", "\x00\x01"])
def test_what_is_no_text_has_no_hunks(repository, change, start, new):
    base, result = change({"list.txt": new}, start)
    assert [(changed.kind, changed.hunks) for changed in git.list_changed(repository.root, base, result)] == [("changed", ())]
    apply_part(repository, base, result, {"list.txt": None})
    assert listing(repository.root)["list.txt"] in (new, new.encode().decode())


def test_a_file_in_the_place_of_a_folder_is_taken(repository, change, start):
    base, result = change({"lib": "a file\n"}, start)
    apply_part(repository, base, result, {"lib": None})
    assert listing(repository.root)["lib"] == "a file\n"


def test_odd_names_are_names(repository, change, start):
    names = ("*.txt", ":(top)x", 'q"u\n', "-- x", "ü 界")
    base, result = change(dict.fromkeys(names, "new\n"), start)
    assert {changed.path for changed in git.list_changed(repository.root, base, result)} == set(names)
    apply_part(repository, base, result, dict.fromkeys(names[:3]))
    assert set(names) & set(listing(repository.root)) == set(names[:3])


def test_the_branch_of_an_applied_loop_goes_and_its_commits_stay(repository, change):
    _, result = change({"a.txt": "agent\n"})
    git.publish(repository.root, "0301", 0, result, best=result)
    assert git.remove_branch(repository.root, "0301")
    assert not git.has_branch(repository.root, "0301")
    assert git.list_published(repository.root, "0301") == {0: result}
    assert git.remove_branch(repository.root, "0301")


def test_a_branch_that_is_in_use_is_left_alone(repository, change):
    base, result = change({"a.txt": "agent\n"})
    git.publish(repository.root, "0301", 0, result, best=result)
    git.publish(repository.root, "0302", 0, result, best=result)
    repository.git("checkout", "-q", "codagent/0301")
    repository.git("branch", "-f", "codagent/0302", base)
    assert not git.remove_branch(repository.root, "0301")
    assert not git.remove_branch(repository.root, "0302")
    assert git.has_branch(repository.root, "0301")
