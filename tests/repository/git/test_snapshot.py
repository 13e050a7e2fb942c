"""What goes into a snapshot, and what is refused with a sentence."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from codagent.errors import RepositoryError
from codagent.repository import git
from codagent.repository.git.snapshot import MAX_UNTRACKED_BYTES


def test_a_clean_tree_is_its_own_snapshot(repository):
    head = repository.git("rev-parse", "HEAD")
    assert git.snapshot(repository.root) == git.Snapshot(repository.root, head, head, dirty=False)


def test_staged_unstaged_untracked_and_deleted_go_in_and_ignored_does_not(repository):
    head = repository.git("rev-parse", "HEAD")
    repository.write("a.txt", "staged\n")
    repository.git("add", "a.txt")
    repository.write("a.txt", "unstaged\n")
    repository.write("new/c.txt", "c\n")
    repository.write("x.log", "noise")
    (repository.root / "lib/b.txt").unlink()
    taken = git.snapshot(repository.root)
    assert taken.dirty
    assert taken.head == head
    assert repository.git("rev-parse", f"{taken.commit}^") == head
    assert git.list_files(repository.root, taken.commit) == (".gitignore", "a.txt", "new/c.txt")
    assert git.read_file(repository.root, taken.commit, "a.txt") == b"unstaged\n"


def test_a_file_changed_in_the_second_of_its_commit_is_seen(repository):
    for number in range(20):  # the same size each time, so that only git's care with racy times can tell
        repository.write("a.txt", f"{number:02}")
        repository.git("add", "a.txt")
        repository.write("a.txt", f"{number + 1:02}")
        assert git.read_file(repository.root, git.snapshot(repository.root).commit, "a.txt") == f"{number + 1:02}".encode()


@pytest.mark.parametrize("ignored_by", ["itself", "the repository", "nobody"])
def test_untracked_state_of_codagent_stays_out(repository, ignored_by):
    repository.write(".codagent/notes.md", "private")
    if ignored_by == "itself":
        repository.write(".codagent/.gitignore", "*\n")
    elif ignored_by == "the repository":
        repository.write(".gitignore", ".codagent\n")
    commit = git.snapshot(repository.root).commit
    assert git.list_files(repository.root, commit) == (".gitignore", "a.txt", "lib/b.txt")


def test_an_empty_repository_gives_a_commit_without_parent(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    taken = git.snapshot(tmp_path)
    assert (taken.head, taken.dirty, git.list_files(tmp_path, taken.commit)) == (None, True, ())
    (tmp_path / "a").write_text("a")
    assert git.list_files(tmp_path, git.snapshot(tmp_path).commit) == ("a",)


def test_a_detached_head_works(repository):
    head = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "-q", "--detach")
    assert git.snapshot(repository.root).commit == head


def test_a_linked_work_tree_has_its_own_index_and_head(repository, tmp_path):
    linked = tmp_path / "linked"
    repository.git("worktree", "add", "-q", "-b", "side", str(linked))
    (linked / "only-here").write_text("x")
    assert git.find_root(linked) == linked
    assert "only-here" in git.list_files(linked, git.snapshot(linked).commit)
    assert git.snapshot(repository.root).dirty is False


def test_a_submodule_stays_one(repository, tmp_path):
    repository.git("clone", "-q", ".", str(tmp_path / "other"))
    repository.git("submodule", "add", "-q", str(tmp_path / "other"), "vendor/other")
    commit = git.snapshot(repository.root).commit
    assert git.list_files(repository.root, commit) == (".gitignore", ".gitmodules", "a.txt", "lib/b.txt")
    assert git.list_submodules(repository.root, commit) == {"vendor/other": repository.git("rev-parse", "HEAD")}


@pytest.mark.parametrize("driver", ["lfs", "other"])
def test_a_filter_for_every_path_does_not_concern_a_submodule(repository, driver):
    repository.git("init", "-q", "inner")
    head = [repository.git("-C", "inner", "commit", "--allow-empty", "-qm", "x"), repository.git("-C", "inner", "rev-parse", "HEAD")][1]
    repository.git("add", "-A")
    repository.write(".gitattributes", f"* filter={driver}\n")
    repository.git("config", f"filter.{driver}.clean", "false")
    repository.git("-C", "inner", "commit", "--allow-empty", "-qm", "y")
    taken = git.snapshot(repository.root)
    assert set(git.list_submodules(repository.root, taken.commit).values()).isdisjoint({head})
    assert "inner" not in taken.filtered


def test_a_merge_conflict_is_refused_by_name(repository):
    repository.git("checkout", "-qb", "side")
    repository.write("a.txt", "side\n")
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.write("a.txt", "main\n")
    repository.commit()
    repository.git("merge", "side", check=False)
    with pytest.raises(RepositoryError, match=r"^a\.txt has an unresolved merge conflict"):
        git.snapshot(repository.root)
    repository.write("a.txt", "both\n")
    repository.git("add", "a.txt")
    assert git.snapshot(repository.root).dirty, "a merge in progress is fine once nothing conflicts"


def test_an_untracked_repository_inside_stays_out(repository):
    repository.git("init", "-q", "inner[1]")
    repository.write("inner[1]/file", "x")
    repository.git("-C", "inner[1]", "commit", "--allow-empty", "-qm", "x")
    repository.write("inner1", "x")
    assert git.list_files(repository.root, git.snapshot(repository.root).commit) == (".gitignore", "a.txt", "inner1", "lib/b.txt")


def test_a_file_that_is_only_intended_to_be_added_goes_in(repository):
    repository.write("later.txt", "later\n")
    repository.git("add", "--intent-to-add", "later.txt")
    assert git.read_file(repository.root, git.snapshot(repository.root).commit, "later.txt") == b"later\n"


def test_links_modes_and_names_that_are_not_text_survive(repository):
    name = os.fsdecode(b'caf\xe9 \n"x"')
    repository.write(name, "latin")
    repository.write("run.sh", "#!/bin/sh\n").chmod(0o755)
    (repository.root / "link").symlink_to("/nowhere")
    commit = git.snapshot(repository.root).commit
    assert name in git.list_files(repository.root, commit)
    assert git.read_file(repository.root, commit, name) == b"latin"
    modes = {line.split("\t")[1]: line.split()[0] for line in repository.git("ls-tree", "-r", commit).splitlines()}
    assert (modes["run.sh"], modes["link"]) == ("100755", "120000")
    assert git.read_file(repository.root, commit, "link") == b"/nowhere"


@pytest.mark.parametrize(("setting", "attributes"), [("core.autocrlf", ""), ("core.eol", "*.txt text=auto\n")])
def test_line_ends_are_normalised_as_the_user_has_it(repository, setting, attributes):
    repository.git("config", setting, "true" if setting == "core.autocrlf" else "crlf")
    repository.write(".gitattributes", attributes)
    repository.write("dos.txt", "one\r\ntwo\r\n")
    assert git.read_file(repository.root, git.snapshot(repository.root).commit, "dos.txt") == b"one\ntwo\n"


def test_an_unchanged_large_file_pointer_stays_a_pointer(repository):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n"
    repository.write("big.bin", pointer)
    repository.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    repository.commit()
    for name in ("clean", "smudge", "process"):
        repository.git("config", f"filter.lfs.{name}", "exit 1")
    repository.git("config", "filter.lfs.required", "true")
    repository.write("a.txt", "changed\n")
    commit = git.snapshot(repository.root).commit
    assert git.read_file(repository.root, commit, "big.bin") == pointer
    assert git.read_file(repository.root, commit, "a.txt") == b"changed\n"


def test_a_large_file_in_place_of_its_pointer_is_no_change(repository):
    content = b"large\n"
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(content).hexdigest()}\nsize 6\n"
    repository.write("big.bin", pointer)
    repository.write(".gitattributes", "*.bin filter=lfs\n")
    repository.commit()
    repository.git("config", "filter.lfs.process", "git-lfs filter-process")
    repository.write("big.bin", content)
    assert git.snapshot(repository.root).dirty is False
    repository.write("big.bin", b"other\n")
    assert git.read_file(repository.root, git.snapshot(repository.root).commit, "big.bin") == b"other\n"


@pytest.fixture
def encrypted(repository):
    """`prod.key` is readable on the disk and turned by 13 letters in git."""
    for side in ("clean", "smudge"):
        repository.git("config", f"filter.crypt.{side}", "tr a-z n-za-m")
    repository.write(".gitattributes", "*.key filter=crypt\n")
    os.utime(repository.write("prod.key", "secret\n"), (1_000_000_000, 1_000_000_000))  # so old that git need not read it again
    repository.commit()
    return repository


def test_a_file_under_a_filter_keeps_the_object_of_the_index(encrypted):
    assert git.snapshot(encrypted.root).filtered == ()
    encrypted.write("prod.key", "another secret\n")
    encrypted.write("new.key", "a new secret\n")
    encrypted.write("a.txt", "changed\n")
    taken = git.snapshot(encrypted.root)
    assert git.read_file(encrypted.root, taken.commit, "prod.key") == b"frperg\n"
    assert git.read_file(encrypted.root, taken.commit, "a.txt") == b"changed\n"
    assert "new.key" not in git.list_files(encrypted.root, taken.commit)
    assert sorted(taken.filtered) == ["new.key", "prod.key"]


def test_what_a_person_staged_through_a_filter_goes_in(encrypted):
    encrypted.write("prod.key", "other\n")
    encrypted.git("add", "prod.key")
    assert git.read_file(encrypted.root, git.snapshot(encrypted.root).commit, "prod.key") == b"bgure\n"


def test_a_file_under_a_filter_that_is_deleted_is_gone(encrypted):
    (encrypted.root / "prod.key").unlink()
    taken = git.snapshot(encrypted.root)
    assert "prod.key" not in git.list_files(encrypted.root, taken.commit)
    assert taken.filtered == ()


def test_an_ignored_file_under_a_filter_that_git_tracks_is_no_hindrance(encrypted):
    encrypted.write(".gitignore", "*.key\n")
    encrypted.write("prod.key", "other\n")
    assert git.snapshot(encrypted.root).filtered == ("prod.key",)


@pytest.mark.parametrize("moment", ["--others", "--modified", "add"])
def test_a_file_that_vanishes_meanwhile_is_not_there(repository, tmp_path, monkeypatch, moment):
    """A git that removes a file, once, before it adds the files or after it has listed them."""
    passing, program = repository.write("passing.tmp", "x"), tmp_path / "bin/git"
    repository.git("config", "filter.lfs.clean", "cat")
    program.parent.mkdir()
    program.write_text(f"""#!/bin/sh
case " $* " in *" add "*) [ {moment} = add ] && rm -f "{passing}";; esac
"{shutil.which("git")}" "$@"; code=$?
case " $* " in *" {moment} "*) rm -f "{passing}";; esac
exit $code
""")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert git.list_files(repository.root, git.snapshot(repository.root).commit) == (".gitignore", "a.txt", "lib/b.txt")


def test_a_snapshot_is_taken_while_files_come_and_go(repository):
    for number in range(300):
        repository.write(f"many/{number}.txt", "x")
    script = 'while :; do for n in 1 2 3 4 5 6 7 8; do echo $n >"passing-$n-$$"; done; rm -f passing-*; done'
    other = subprocess.Popen(["sh", "-c", script], cwd=repository.root)
    try:
        for _ in range(5):
            assert "many/299.txt" in git.list_files(repository.root, git.snapshot(repository.root).commit)
    finally:
        other.kill()
        other.wait()


def test_a_forgotten_data_set_is_refused_by_name(repository):
    with repository.write("data/set.bin").open("wb") as file:
        file.truncate(MAX_UNTRACKED_BYTES + 1)
    with pytest.raises(RepositoryError, match=r"^untracked files hold 512 MB, data/set\.bin the most"):
        git.snapshot(repository.root)


def test_a_sparse_checkout_keeps_what_it_does_not_show(repository):
    repository.git("sparse-checkout", "set", "--no-cone", "/a.txt")
    assert not (repository.root / "lib").exists()
    assert git.snapshot(repository.root).dirty is False
    repository.write("outside/new", "x")
    assert "lib/b.txt" in (names := git.list_files(repository.root, git.snapshot(repository.root).commit))
    assert "outside/new" in names


def test_a_partial_clone_that_lacks_files_is_refused_and_fetches_nothing(repository, tmp_path):
    repository.git("config", "uploadpack.allowFilter", "true")
    part = tmp_path / "part"
    subprocess.run(["git", "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{repository.root}", part], check=True)
    subprocess.run(["git", "sparse-checkout", "set", "--no-cone", "/a.txt"], cwd=part, check=True)
    subprocess.run(["git", "checkout", "-q"], cwd=part, check=True)
    with pytest.raises(RepositoryError, match="is a partial clone that lacks some of its files"):
        git.snapshot(part)
    subprocess.run(["git", "sparse-checkout", "disable"], cwd=part, check=True)
    assert git.snapshot(part).dirty is False


def test_files_of_a_tree_are_listed_from_anywhere(repository):
    assert git.list_files(Path(repository.root), "HEAD") == (".gitignore", "a.txt", "lib/b.txt")
