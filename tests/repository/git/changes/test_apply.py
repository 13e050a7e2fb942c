"""A change on the working tree: three-way, all or nothing, and nobody else's files."""

from __future__ import annotations

import os

import pytest

from codagent.errors import RepositoryError
from codagent.repository import git
from codagent.repository.git.changes.work_tree import Changes, move_all
from tests.repository.git.changes.changing import listing


def test_additions_changes_and_deletions_arrive_and_the_index_does_not_move(repository, change):
    base, result = change(
        {"a.txt": "one\n2\nthree\n", "lib/b.txt": None, "new/deep/c.txt": "c\n", "run": "#!/bin/sh\n", "link": "-> a.txt"}
    )
    index = (repository.root / ".git/index").read_bytes()
    assert git.apply(repository.root, base, result) == ()
    expected = {".gitignore": "*.log\n", "a.txt": "one\n2\nthree\n", "new/deep/c.txt": "c\n", "run": "#!/bin/sh\n", "link": "-> a.txt"}
    assert listing(repository.root) == expected
    assert (repository.root / "run").stat().st_mode & 0o111
    assert not (repository.root / "lib").exists()
    assert not (repository.root / ".codagent").exists()
    assert (repository.root / ".git/index").read_bytes() == index


def test_applying_twice_changes_nothing_the_second_time(repository, change):
    base, result = change({"a.txt": "one\n2\nthree\n", "lib/b.txt": None, "new.txt": "c\n", "kept.log": "ignored here\n"})
    assert git.apply(repository.root, base, result) == ()
    times = {path: path.lstat().st_mtime_ns for path in repository.root.rglob("*.*") if ".git/" not in str(path)}
    assert git.apply(repository.root, base, result) == ()
    assert times == {path: path.lstat().st_mtime_ns for path in repository.root.rglob("*.*") if ".git/" not in str(path)}


def test_what_the_user_did_since_is_kept_in_the_same_file(repository, change):
    repository.write("list.txt", "".join(f"{n}\n" for n in range(9)))
    repository.commit()
    start = git.snapshot(repository.root).commit
    base, result = change({"list.txt": "".join(f"{n}\n" for n in range(8)) + "agent\n"}, start=start)
    repository.write("list.txt", "user\n" + "".join(f"{n}\n" for n in range(1, 9)))
    repository.write("mine.txt", "mine\n")
    assert git.apply(repository.root, base, result) == ()
    assert listing(repository.root)["list.txt"] == "user\n1\n2\n3\n4\n5\n6\n7\nagent\n"
    assert listing(repository.root)["mine.txt"] == "mine\n"


def test_a_conflict_names_the_paths_and_changes_nothing(repository, change):
    base, result = change({"a.txt": "agent\n", "other.txt": "x\n"})
    repository.write("a.txt", "user\n")
    before = listing(repository.root)
    assert git.apply(repository.root, base, result) == ("a.txt",)
    assert listing(repository.root) == before


def test_an_ignored_file_is_never_overwritten(repository, change):
    base, result = change({"settings.log": "agent\n", "a.txt": "agent\n"})
    repository.write("settings.log", "the user's own\n")
    assert git.apply(repository.root, base, result) == ("settings.log",)
    assert listing(repository.root)["settings.log"] == "the user's own\n"
    assert listing(repository.root)["a.txt"] == "one\ntwo\nthree\n"


def test_nothing_is_written_through_a_link_that_leads_out(repository, change, tmp_path):
    base, result = change({"build.log/out.txt": "agent\n"})
    (tmp_path / "outside").mkdir()
    (repository.root / "build.log").symlink_to(tmp_path / "outside")
    assert git.apply(repository.root, base, result) == ("build.log/out.txt",)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_link_that_the_agent_puts_in_place_of_a_folder_is_only_a_link(repository, change, tmp_path):
    (tmp_path / "outside").mkdir()
    base, result = change({"lib": f"-> {tmp_path / 'outside'}"})
    assert git.apply(repository.root, base, result) == ()
    assert (repository.root / "lib").is_symlink()
    base, second = change({"lib": None, "lib/b.txt": "b2\n"}, start=result)
    assert git.apply(repository.root, base, second) == ()
    assert not (repository.root / "lib").is_symlink()
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_file_becomes_a_folder_and_back(repository, change):
    base, result = change({"a.txt": None, "a.txt/inner": "x\n"})
    assert git.apply(repository.root, base, result) == ()
    assert listing(repository.root)["a.txt/inner"] == "x\n"
    assert git.apply(repository.root, result, base) == ()
    assert listing(repository.root)["a.txt"] == "one\ntwo\nthree\n"


def test_a_folder_with_ignored_files_does_not_give_way(repository, change):
    base, result = change({"lib": "a file now\n"})
    repository.write("lib/keep.log", "mine\n")
    assert git.apply(repository.root, base, result) == ("lib",)
    assert listing(repository.root)["lib/b.txt"] == "b\n"


def test_only_changed_paths_are_written(repository, change):
    base, result = change({"lib/b.txt": "b2\n"})
    before = (repository.root / "a.txt").stat()
    assert git.apply(repository.root, base, result) == ()
    assert (repository.root / "a.txt").stat().st_ino == before.st_ino


def test_line_ends_are_written_as_the_user_has_them(repository, change):
    base, result = change({"a.txt": "one\n2\nthree\n"})
    repository.git("config", "core.autocrlf", "true")
    assert git.apply(repository.root, base, result) == ()
    assert (repository.root / "a.txt").read_bytes() == b"one\r\n2\r\nthree\r\n"


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_a_file_that_git_does_not_look_at_is_merged_as_it_lies_on_the_disk(repository, change, flag):
    lines = "".join(f"{n}\n" for n in range(9))
    repository.write("config.txt", lines)
    repository.commit()
    start = git.snapshot(repository.root).commit
    base, far = change({"config.txt": lines.replace("8", "agent")}, start=start)
    base, near = change({"config.txt": lines.replace("0", "agent")}, start=start)
    base, gone = change({"config.txt": None}, start=start)
    repository.git("update-index", flag, "config.txt")
    repository.write("config.txt", lines.replace("0", "mine"))
    assert git.apply(repository.root, base, near) == ("config.txt",)
    assert git.apply(repository.root, base, gone) == ("config.txt",)
    assert listing(repository.root)["config.txt"] == lines.replace("0", "mine")
    assert git.apply(repository.root, base, far) == ()
    assert listing(repository.root)["config.txt"] == lines.replace("0", "mine").replace("8", "agent")


def test_an_edit_that_its_time_and_size_hide_is_not_overwritten(repository, change):
    base, result = change({"a.txt": "one\n2\nthree\n"})
    file = repository.root / "a.txt"
    repository.git("config", "core.trustctime", "false")
    repository.git("config", "core.checkStat", "minimal")
    os.utime(file, (1_000_000_000, 1_000_000_000))
    repository.git("update-index", "--refresh")
    file.write_text("one\nTWO\nthree\n")
    os.utime(file, (1_000_000_000, 1_000_000_000))
    assert git.apply(repository.root, base, result) == ("a.txt",)
    assert file.read_text() == "one\nTWO\nthree\n"


def test_a_deleted_file_that_git_does_not_look_at_does_not_come_back(repository, change):
    base, result = change({"a.txt": "agent\n"})
    repository.git("update-index", "--assume-unchanged", "a.txt")
    (repository.root / "a.txt").unlink()
    assert git.apply(repository.root, base, result) == ("a.txt",)
    assert "a.txt" not in listing(repository.root)


def test_a_file_that_a_sparse_checkout_does_not_show_is_written(repository, change):
    base, result = change({"lib/b.txt": "agent\n"})
    repository.git("sparse-checkout", "set", "--no-cone", "/a.txt")
    assert git.apply(repository.root, base, result) == ()
    assert listing(repository.root)["lib/b.txt"] == "agent\n"


def test_what_lies_where_a_sparse_checkout_shows_nothing_is_not_overwritten(repository, change):
    base, result = change({"lib/b.txt": "agent\n"})
    repository.git("sparse-checkout", "set", "--no-cone", "/a.txt")
    repository.write("lib/b.txt", "mine\n")
    assert git.apply(repository.root, base, result) == ("lib/b.txt",)
    assert listing(repository.root)["lib/b.txt"] == "mine\n"


@pytest.mark.parametrize("text", ["agent\n", None])
def test_a_file_under_a_filter_is_refused_by_name(repository, change, text):
    repository.write(".gitattributes", "*.key filter=crypt\n")
    repository.write("prod.key", "cipher\n")
    repository.commit()
    base, result = change({"prod.key": text, "a.txt": "agent\n"}, start=git.snapshot(repository.root).commit)
    repository.git("config", "filter.crypt.clean", "tr a-z b-za")
    repository.write("prod.key", "plain\n")
    before = listing(repository.root)
    with pytest.raises(RepositoryError, match=r"^nothing was changed: .* prod\.key \(filter crypt\)"):
        git.apply(repository.root, base, result)
    assert listing(repository.root) == before


@pytest.mark.parametrize(
    ("disk", "merged"),
    [
        (b"one\r\ntwo\r\nthree\r\n", b"one\r\n2\r\nextra\r\nthree\r\n"),
        (b"one\ntwo\r\nthree\n", b"one\n2\nextra\nthree\n"),
        (b"one\r\ntwo\r\nthree", b"one\r\n2\r\nextra\r\nthree"),
    ],
)
def test_line_ends_on_the_disk_stay_though_git_knows_others(repository, change, disk, merged):
    text = disk.replace(b"\r\n", b"\n").decode()
    repository.write(".gitattributes", "*.txt text=auto\n")
    repository.write("a.txt", text)
    repository.commit()
    base, result = change({"a.txt": text.replace("two\n", "2\nextra\n")}, start=git.snapshot(repository.root).commit)
    repository.write("a.txt", disk)
    assert git.apply(repository.root, base, result) == ()
    assert (repository.root / "a.txt").read_bytes() == merged


def test_a_change_of_line_ends_is_a_change(repository, change):
    repository.write("a.txt", "one\r\ntwo\r\n")
    repository.commit()
    base, result = change({"a.txt": "one\ntwo\n"}, start=git.snapshot(repository.root).commit)
    assert git.apply(repository.root, base, result) == ()
    assert (repository.root / "a.txt").read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize(("text", "mode"), [("agent\n", 0o600), ("#!/bin/sh\n", 0o700)])
def test_a_private_file_stays_private(repository, change, text, mode):
    base, result = change({"a.txt": text})
    (repository.root / "a.txt").chmod(0o600)
    assert git.apply(repository.root, base, result) == ()
    assert (repository.root / "a.txt").stat().st_mode & 0o777 == mode


def test_a_failure_half_way_puts_all_back(repository, tmp_path):
    before = listing(repository.root)
    (tmp_path / "staged/new").mkdir(parents=True)
    (tmp_path / "staged/new/a.txt").write_text("agent\n")
    changes = Changes(written=("a.txt", "missing.txt"), removed=("a.txt", "lib/b.txt"))
    with pytest.raises(RepositoryError, match=r"could not be written .*; nothing was changed"):
        move_all(repository.root, tmp_path / "staged", changes)
    assert listing(repository.root) == before
