"""A commit into a sandbox and its files back out, whatever the agent did to its repository."""

from __future__ import annotations

import pytest

from codagent.errors import SandboxError
from codagent.repository import git
from codagent.repository.git.transfer.packing import HISTORY


@pytest.fixture
def entered(repository, sandbox):
    """The repository's snapshot, checked out in the sandbox."""
    taken = git.snapshot(repository.root)
    git.copy_in(sandbox, git.pack(repository.root, taken.commit))
    return taken


def shell(sandbox, command):
    result = sandbox.run(command, timeout=60)
    assert result.exit_code == 0, result.output
    return result.output.strip()


def test_the_agent_finds_a_clean_repository_with_its_history(entered, sandbox, repository):
    assert shell(sandbox, "git status --short --branch") == "## work"
    assert shell(sandbox, "git log --format='%H %s'") == f"{entered.commit} first"
    assert shell(sandbox, "git config user.name; git config user.email") == "codagent\ncodagent@localhost"
    assert shell(sandbox, "cat a.txt; git fsck --strict 2>/dev/null") == "one\ntwo\nthree"
    assert shell(sandbox, "ls -A").split() == [".git", ".gitignore", "a.txt", "lib"]


def test_only_the_latest_history_goes_in(repository, sandbox):
    for number in range(HISTORY + 10):
        repository.git("commit", "--allow-empty", "-qm", str(number))
    git.copy_in(sandbox, git.pack(repository.root, git.snapshot(repository.root).commit))
    assert shell(sandbox, "git rev-list --count HEAD; git fsck 2>/dev/null") == str(HISTORY)
    assert git.collect_tree(sandbox, repository.root, git.snapshot(repository.root).commit) is None


def test_a_shallow_clone_goes_in(repository, sandbox, tmp_path):
    repository.write("a.txt", "second\n")
    repository.commit("second")
    repository.git("clone", "-q", "--depth=1", f"file://{repository.root}", str(tmp_path / "shallow"))
    taken = git.snapshot(tmp_path / "shallow")
    git.copy_in(sandbox, git.pack(tmp_path / "shallow", taken.commit))
    assert shell(sandbox, "git log --format=%s; cat a.txt") == "second\nsecond"


def test_an_empty_repository_goes_in_and_a_file_comes_out(tmp_path, repository, sandbox):
    repository.git("init", "-q", str(tmp_path / "empty"))
    taken = git.snapshot(tmp_path / "empty")
    git.copy_in(sandbox, git.pack(tmp_path / "empty", taken.commit))
    shell(sandbox, "echo hello >first.txt")
    assert git.list_files(tmp_path / "empty", git.collect_tree(sandbox, tmp_path / "empty", taken.commit)) == ("first.txt",)


def test_a_repository_of_the_longer_hash_works(tmp_path, repository, sandbox):
    root = tmp_path / "long"
    repository.git("init", "-q", "--object-format=sha256", str(root))
    (root / "a").write_text("a")
    taken = git.snapshot(root)
    git.copy_in(sandbox, git.pack(root, taken.commit))
    shell(sandbox, "echo b >b")
    assert git.list_files(root, git.collect_tree(sandbox, root, taken.commit)) == ("a", "b")


def test_nothing_changed_is_none(entered, sandbox, repository):
    shell(sandbox, "touch a.txt; echo noise >x.log; git commit -q --allow-empty -m nothing")
    assert git.collect_tree(sandbox, repository.root, entered.commit) is None


def test_commits_and_loose_work_of_the_agent_come_out_as_one_tree(entered, sandbox, repository):
    shell(sandbox, "echo 1 >committed; git add -A; git commit -qm agent; echo 2 >staged; git add staged; echo 3 >loose; rm lib/b.txt")
    shell(sandbox, "chmod +x a.txt; ln -s a.txt link; git checkout -q -b elsewhere")
    tree = git.collect_tree(sandbox, repository.root, entered.commit)
    assert git.list_files(repository.root, tree) == (".gitignore", "a.txt", "committed", "link", "loose", "staged")
    assert repository.git("ls-tree", tree, "a.txt", "link").split()[::4] == ["100755", "120000"]
    assert repository.git("fsck", "--strict", "--no-dangling") == ""
    assert git.collect_tree(sandbox, repository.root, entered.commit) == tree


RUIN = {
    "deleted": "rm -rf .git",
    "begun again": "rm -rf .git && git init -q && git add -A && git -c user.name=a -c user.email=a commit -qm x",
    "a file": "rm -rf .git && echo gitdir: /nowhere >.git",
    "a link": "mv .git elsewhere.log && ln -s elsewhere.log .git",
    "objects deleted": "rm -rf .git/objects",
    "index damaged": "echo garbage >.git/index",
    "index locked": "touch .git/index.lock",
    "conflicting": "for b in o w; do git checkout -qb $b work; echo $b >a.txt; git commit -qam $b; done; ! git merge -q o",
    "misconfigured": "printf '[core]\\nbare = true\\nworktree = /\\n[broken' >.git/config",
    "hooked": "mkdir -p .git/hooks && printf '#!/bin/sh\\nexit 1' >.git/hooks/pre-commit && chmod +x .git/hooks/pre-commit",
    "redirected": "mkdir -p .git/objects/info && echo /nowhere >.git/objects/info/alternates",
}


@pytest.mark.parametrize("ruin", RUIN)
def test_the_work_comes_out_of_a_ruined_repository(entered, sandbox, repository, ruin):
    shell(sandbox, RUIN[ruin])
    shell(sandbox, "echo mended >a.txt; echo new >new.txt")
    tree = git.collect_tree(sandbox, repository.root, entered.commit)
    assert git.list_files(repository.root, tree) == (".gitignore", "a.txt", "lib/b.txt", "new.txt")
    assert git.read_file(repository.root, tree, "a.txt") == b"mended\n"


def test_a_tracked_file_that_is_ignored_is_not_lost(repository, sandbox):
    repository.write("kept.log", "tracked\n")
    repository.git("add", "-f", "kept.log")
    taken = git.snapshot(repository.root)
    git.copy_in(sandbox, git.pack(repository.root, taken.commit))
    shell(sandbox, "git rm -qr --cached . && git add . && echo x >x.txt")
    assert "kept.log" in git.list_files(repository.root, git.collect_tree(sandbox, repository.root, taken.commit))


def test_what_only_the_user_ignores_stays_in_the_sandbox(repository, sandbox, tmp_path):
    (tmp_path / "ignore").write_text("*.pyc\n")
    repository.git("config", "--global", "core.excludesFile", str(tmp_path / "ignore"))
    repository.write(".git/info/exclude", "scratch\n")
    taken = git.snapshot(repository.root)
    git.copy_in(sandbox, git.pack(repository.root, taken.commit))
    shell(sandbox, "echo >a.pyc; echo >scratch; mkdir .codagent; echo >.codagent/notes.md")
    assert git.collect_tree(sandbox, repository.root, taken.commit) is None


def test_names_that_are_not_text_and_line_ends_survive_the_way(repository, sandbox):
    repository.write("dos.txt", b"one\r\ntwo\r\n")
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    repository.write(name, "x")
    taken = git.snapshot(repository.root)
    git.copy_in(sandbox, git.pack(repository.root, taken.commit))
    shell(sandbox, "printf 'three\\r\\n' >>dos.txt; for f in caf*; do echo y >>$f; done")
    tree = git.collect_tree(sandbox, repository.root, taken.commit)
    assert git.read_file(repository.root, tree, "dos.txt") == b"one\r\ntwo\r\nthree\r\n"
    assert git.read_file(repository.root, tree, name) == b"xy\n"


LEFT = {
    "a repository": ("git init -q inner && git -C inner -c user.name=a -c user.email=a commit -q --allow-empty -m x", "inner/"),
    "an empty repository": ("git init -q inner", "inner/"),
    "a repository in the place of a file": ("rm a.txt && git init -q a.txt && git -C a.txt commit -q --allow-empty -m x", "a.txt/"),
    "a name that means something to git": ("mkdir deep && echo x >deep/git~1", "deep/git~1"),
    "a name that some disks take for another": ("mkdir deep && echo x >deep/.g$(printf '\\u200c')it", "deep/.git"),
    "an attribute that is too long": ("head -c 3000 /dev/zero | tr '\\0' a >.gitattributes", ".gitattributes"),
    "an address that is an option": ("printf '[submodule \"x\"]\\n\\tpath = x\\n\\turl = -x\\n' >.gitmodules", ".gitmodules"),
    "a file that is too large": ("truncate -s 300M core", "core"),
    "files whose names end within a character": ("truncate -s 300M $'core\\xe9' $'core\\xe9x'", "core\ufffd, core\ufffdx"),
}


@pytest.mark.parametrize("odd", LEFT)
def test_what_cannot_come_out_stays_behind_by_name_and_the_rest_comes_out(entered, sandbox, repository, odd):
    command, name = LEFT[odd]
    shell(sandbox, f"{command}; echo mended >lib/b.txt; echo new >new.txt")
    said = []
    tree = git.collect_tree(sandbox, repository.root, entered.commit, said.append)
    assert said == [f"left behind in the sandbox: {name}"]
    assert set(git.list_files(repository.root, tree)) | {"a.txt"} == {".gitignore", "a.txt", "lib/b.txt", "new.txt"}
    assert git.read_file(repository.root, tree, "lib/b.txt") == b"mended\n"


def test_the_files_of_a_folder_that_was_made_a_repository_come_out(entered, sandbox, repository):
    shell(sandbox, "git init -q lib && echo more >lib/c.txt")
    said = []
    tree = git.collect_tree(sandbox, repository.root, entered.commit, said.append)
    assert (git.list_files(repository.root, tree), said) == ((".gitignore", "a.txt", "lib/b.txt", "lib/c.txt"), [])


def test_a_tracked_file_that_grew_too_large_comes_out_as_it_was(entered, sandbox, repository):
    shell(sandbox, "truncate -s 300M a.txt; echo new >new.txt")
    tree = git.collect_tree(sandbox, repository.root, entered.commit)
    assert git.read_file(repository.root, tree, "a.txt") == b"one\ntwo\nthree\n"


def test_an_image_without_git_is_a_broken_sandbox(repository, sandbox):
    class Bare:
        """The same sandbox with nothing on its path."""

        write, read, kill_all, close = sandbox.write, sandbox.read, sandbox.kill_all, sandbox.close

        def run(self, command, *, timeout):
            return sandbox.run(f"PATH=/nowhere\n{command}", timeout=timeout)

    with pytest.raises(SandboxError, match="lacks git"):
        git.copy_in(Bare(), git.pack(repository.root, git.snapshot(repository.root).commit))
