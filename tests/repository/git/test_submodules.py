"""Repositories with submodules: what goes into a sandbox, what comes out, and what a hostile one cannot reach."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from codagent.errors import RepositoryError
from codagent.repository import git
from codagent.repository.git.submodules import SubmoduleReport, check_submodules, pack_submodules
from tests.repository.git.conftest import Repository


def make(root: Path, files: dict[str, str]) -> Repository:
    """A repository with one commit."""
    root.mkdir(parents=True)
    made = Repository(root)
    made.git("init", "-q")
    for path, content in files.items():
        made.write(path, content)
    made.commit("first")
    return made


_MADE: list[Path] = []  # the folder with the repositories, made by the first test: `git submodule` is slow


@pytest.fixture
def origins(tmp_path_factory):
    """A folder with three repositories: `library` has `inner` as a submodule, and `project` has `library`. All are checked out."""
    if not _MADE:
        folder = tmp_path_factory.mktemp("origins")
        make(folder / "inner", {"deep.txt": "deep\n"})
        files = {"value.h": "#define VALUE 42\n", "hidden/x": "x\n", ".gitattributes": "hidden export-ignore\n"}
        library = make(folder / "library", files)
        library.git("submodule", "add", "-q", str(folder / "inner"), "inner")
        library.commit("with inner")
        project = make(folder / "project", {"a.txt": "one\n", "lib/b.txt": "b\n", ".gitignore": "*.log\n"})
        project.commit("first")
        project.git("submodule", "add", "-q", str(folder / "library"), "vendor/library")
        project.git("submodule", "update", "-q", "--init", "--recursive")
        project.commit("with a library")
        _MADE.append(folder)
    return _MADE[0]


@pytest.fixture
def project(origins, tmp_path):
    """A repository with the submodule `vendor/library`, and with one in it; both are checked out."""
    return Repository(shutil.copytree(origins / "project", tmp_path / "project", symlinks=True))


def enter(repository, sandbox):
    taken = git.snapshot(repository.root)
    git.copy_in(sandbox, git.pack(repository.root, taken.commit))
    return taken.commit


def shell(sandbox, command):
    result = sandbox.run(command, timeout=60)
    assert result.exit_code == 0, result.output
    return result.output.strip()


def test_the_files_are_in_the_sandbox_and_git_finds_nothing_changed(project, sandbox):
    taken = git.snapshot(project.root)
    assert (taken.dirty, taken.commit) == (False, project.git("rev-parse", "HEAD"))
    enter(project, sandbox)
    assert shell(sandbox, "cat vendor/library/value.h vendor/library/inner/deep.txt vendor/library/hidden/x").split() == [
        *("#define", "VALUE", "42"),
        *("deep", "x"),
    ]
    assert shell(sandbox, "git status --short; git fsck --strict 2>/dev/null; ls .git") == shell(sandbox, "ls .git")
    assert "modules" not in shell(sandbox, "ls .git").split()


def test_work_comes_out_with_the_submodule_as_it_was(project, sandbox):
    base = enter(project, sandbox)
    shell(sandbox, "echo mended >a.txt")
    said = []
    tree = git.collect_tree(sandbox, project.root, base, said.append)
    assert (git.list_files(project.root, tree), said) == ((".gitignore", ".gitmodules", "a.txt", "lib/b.txt"), [])
    assert git.list_submodules(project.root, tree) == git.list_submodules(project.root, base)
    assert git.collect_tree(sandbox, project.root, base) == tree
    result = git.commit(project.root, tree, base, "work", trailers={})
    assert git.apply(project.root, base, result) == ()
    assert git.is_applied(project.root, base, result)
    assert project.git("status", "--short") == "M a.txt"
    assert git.undo(project.root).paths == ("a.txt",)
    assert project.git("status", "--short") == ""


CHANGES = {
    "a file is changed": ("echo 0 >vendor/library/value.h", ["vendor/library/value.h"]),
    "a file is added": ("echo 0 >vendor/library/new.h", ["vendor/library/new.h"]),
    "a file is removed": ("rm vendor/library/hidden/x", ["vendor/library/hidden/x"]),
    "a file inside a submodule inside": ("echo 0 >vendor/library/inner/deep.txt", ["vendor/library/inner/deep.txt"]),
    "emptied": ("rm -r vendor/library/*", ["vendor/library/hidden/x", "vendor/library/inner", "vendor/library/value.h"]),
    "deleted": ("rm -r vendor", ["vendor/library", "vendor/library/inner"]),
    "deleted by git": ("git rm -qrf vendor/library && git commit -qm x", ["vendor/library", "vendor/library/inner"]),
    "moved": ("mv vendor/library vendor/elsewhere && rm -r vendor/elsewhere", ["vendor/library", "vendor/library/inner"]),
    "a file in its place": ("rm -r vendor/library && echo x >vendor/library", ["vendor/library", "vendor/library/inner"]),
    "a link in its place": ("rm -r vendor/library && ln -s ../lib vendor/library", ["vendor/library", "vendor/library/inner"]),
    "a file in the place of its parent": ("rm -r vendor && echo x >vendor", ["vendor/library", "vendor/library/inner"]),
    "a link in the place of its parent": ("rm -r vendor && ln -s lib vendor", ["vendor/library", "vendor/library/inner"]),
    "made a repository": ("git init -q vendor/library", []),
    "another commit": (
        "git init -q vendor/library && git -C vendor/library -c user.name=a -c user.email=a commit -q --allow-empty -m x",
        [],
    ),
    "a large file": ("truncate -s 300M vendor/library/core", ["vendor/library/core"]),
    "no git at all": ("rm -rf .git; echo 0 >vendor/library/value.h", []),
    "another index": ("git rm -q --cached vendor/library; echo 0 >vendor/library/value.h", ["vendor/library/value.h"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_agent_does_to_a_submodule_stays_behind_by_name(project, sandbox, change):
    base = enter(project, sandbox)
    command, names = CHANGES[change]
    shell(sandbox, f"{command}; echo mended >a.txt")
    said = []
    tree = git.collect_tree(sandbox, project.root, base, said.append)
    assert git.list_submodules(project.root, tree) == git.list_submodules(project.root, base)
    assert git.list_files(project.root, tree) == (".gitignore", ".gitmodules", "a.txt", "lib/b.txt")
    assert said == ([f"left behind in the sandbox: {', '.join(names)}; what is in a submodule does not come out"] if names else [])


def test_a_submodule_that_the_agent_adds_stays_behind(project, sandbox):
    base = enter(project, sandbox)
    shell(sandbox, "git init -q more && git -C more -c user.name=a -c user.email=a commit -q --allow-empty -m x; echo x >x")
    said = []
    tree = git.collect_tree(sandbox, project.root, base, said.append)
    assert (git.list_submodules(project.root, tree), said) == (
        git.list_submodules(project.root, base),
        ["left behind in the sandbox: more/"],
    )


def test_what_was_moved_out_of_a_submodule_comes_out(project, sandbox):
    base = enter(project, sandbox)
    shell(sandbox, "mv vendor/library/value.h value.h")
    tree = git.collect_tree(sandbox, project.root, base)
    assert git.read_file(project.root, tree, "value.h") == b"#define VALUE 42\n"


@pytest.mark.parametrize("hidden", [None, "config", ".gitmodules"])
@pytest.mark.parametrize("entry", ["160000 commit {other}\tvendor\n", "100644 blob {blob}\tvendor\n", ""])
def test_a_tree_in_which_a_submodule_is_another_is_refused(repository, entry, hidden):
    head = repository.git("rev-parse", "HEAD")
    blob = repository.git("rev-parse", "HEAD:a.txt")
    if hidden == "config":
        repository.git("config", "diff.ignoreSubmodules", "all")
    if hidden == ".gitmodules":
        repository.write(".gitmodules", '[submodule "vendor"]\npath = vendor\nurl = x\nignore = all\n')
    base = repository.git("mktree", data=f"160000 commit {head}\tvendor\n".encode())
    tree = repository.git("mktree", data=entry.format(other="1" * 40, blob=blob).encode())
    pack = repository.git("pack-objects", "-q", "pack", data=f"{tree}\n".encode())
    data = (repository.root / f"pack-{pack}.pack").read_bytes()
    with pytest.raises(RepositoryError, match="it changes the submodule vendor"):
        git.receive(repository.root, repository.git("commit-tree", base, "-m", "base"), tree, data)


def test_a_submodule_has_the_commit_that_is_checked_out_and_not_what_is_not_committed(project, sandbox):
    library = Repository(project.root / "vendor/library")
    library.write("value.h", "#define VALUE 43\n")
    head = library.commit("next")
    library.write("value.h", "#define VALUE 44\n")
    commit = enter(project, sandbox)
    assert git.list_submodules(project.root, commit) == {"vendor/library": head}
    assert shell(sandbox, "cat vendor/library/value.h") == "#define VALUE 43"
    assert check_submodules(project.root, commit) == SubmoduleReport(edited=("vendor/library",))


@pytest.mark.parametrize("edit", ["changed", "staged", "added", "removed", "an inner commit"])
def test_every_kind_of_edit_in_a_submodule_is_seen(project, edit):
    library = Repository(project.root / "vendor/library")
    if edit == "removed":
        (library.root / "value.h").unlink()
    elif edit == "an inner commit":
        Repository(library.root / "inner").commit("next")
    else:
        library.write("new.h" if edit == "added" else "value.h", "0\n")
    if edit == "staged":
        library.git("add", "-A")
    assert check_submodules(project.root, git.snapshot(project.root).commit).edited == ("vendor/library",)


def test_an_edit_in_a_submodule_of_a_submodule_is_seen(project):
    (project.root / "vendor/library/inner/deep.txt").write_text("0\n")
    assert check_submodules(project.root, git.snapshot(project.root).commit).edited == ("vendor/library/inner",)


def test_a_submodule_that_is_not_checked_out_is_an_empty_folder(project, sandbox, tmp_path):
    project.git("clone", "-q", ".", str(tmp_path / "clone"))
    clone = Repository(tmp_path / "clone")
    commit = enter(clone, sandbox)
    assert check_submodules(clone.root, commit) == SubmoduleReport(absent=("vendor/library",))
    assert shell(sandbox, "ls -A vendor/library; git status --short; ls .git/modules .git/submodules 2>/dev/null || true") == ""
    shell(sandbox, "echo x >x; echo x >vendor/library/x")
    tree = git.collect_tree(sandbox, clone.root, commit)
    assert git.list_submodules(clone.root, tree) == git.list_submodules(clone.root, commit)
    clone.git("submodule", "update", "-q", "--init")
    assert check_submodules(clone.root, commit) == SubmoduleReport(absent=("vendor/library/inner",))


def test_a_submodule_that_the_person_removed_or_replaced_is_no_longer_one(project):
    shutil.rmtree(project.root / "vendor/library")
    assert git.list_submodules(project.root, git.snapshot(project.root).commit) == {}
    project.write("vendor/library", "a file\n")
    commit = git.snapshot(project.root).commit
    assert (git.list_submodules(project.root, commit), git.read_file(project.root, commit, "vendor/library")) == ({}, b"a file\n")


def test_a_repository_that_was_added_without_an_address_goes_in(repository, sandbox):
    make(repository.root / "inner[1]", {"x": "x\n"})
    repository.git("add", "-A")
    commit = enter(repository, sandbox)
    assert list(git.list_submodules(repository.root, commit)) == ["inner[1]"]
    assert shell(sandbox, "cat 'inner[1]/x'") == "x"
    shell(sandbox, "echo y >'inner[1]/x'; echo new >inner1")
    tree = git.collect_tree(sandbox, repository.root, commit)
    assert git.list_files(repository.root, tree) == (".gitignore", "a.txt", "inner1", "lib/b.txt")
    assert git.list_submodules(repository.root, tree) == git.list_submodules(repository.root, commit)


def test_odd_names_and_ignored_folders_are_no_hindrance(repository, origins, sandbox):
    names = ['it\'s a "BASE"', "new\nline", os.fsdecode(b"caf\xe9"), "ignored.log", "a*/OUT"]
    for name in names:
        repository.git("submodule", "add", "-q", "-f", "--name", f"n{names.index(name)}", "--", str(origins / "inner"), name)
    commit = repository.commit("odd")
    assert (enter(repository, sandbox), sorted(git.list_submodules(repository.root, commit))) == (commit, sorted(names))
    assert shell(sandbox, "find . -name deep.txt -print0 | tr -cd '\\0' | wc -c") == str(len(names))
    assert git.collect_tree(sandbox, repository.root, commit) is None
    shell(sandbox, "echo x >new.txt; find . -name deep.txt -exec rm '{}' ';'")
    said = []
    tree = git.collect_tree(sandbox, repository.root, commit, said.append)
    assert git.list_files(repository.root, tree) == (".gitignore", ".gitmodules", "a.txt", "lib/b.txt", "new.txt")
    assert len(said) == 1


def test_a_copy_and_a_parcel_have_the_submodules_too(project, tmp_path):
    commit = git.snapshot(project.root).commit
    packed = git.pack(project.root, commit, [project.git("rev-parse", "HEAD^")])
    git.make_repository(tmp_path / "worker", packed)
    git.clone_shared(project.root, tmp_path / "copy", commit)
    for root in (tmp_path / "worker", tmp_path / "copy"):
        assert check_submodules(root, commit) == SubmoduleReport()
        git.make_repository(tmp_path / "again" / root.name, git.pack(root, commit))
        assert check_submodules(tmp_path / "again" / root.name, commit) == SubmoduleReport()


def test_a_submodule_of_another_commit_goes_into_a_parcel(project, tmp_path):
    before = project.git("rev-parse", "HEAD")
    Repository(project.root / "vendor/library").commit("next")
    now = git.snapshot(project.root).commit
    for first, second in ((before, now), (now, before), (project.git("rev-parse", "HEAD^"), now)):
        root = tmp_path / f"{first}{second}"
        git.make_repository(root, git.pack(project.root, first, [second]))
        assert check_submodules(root, first) == check_submodules(root, second) == SubmoduleReport()


def test_a_linked_work_tree_has_submodules_of_its_own(project, sandbox, tmp_path):
    project.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    linked = Repository(tmp_path / "linked")
    assert check_submodules(linked.root, git.snapshot(linked.root).commit) == SubmoduleReport(absent=("vendor/library",))
    linked.git("submodule", "update", "-q", "--init", "--recursive")
    enter(linked, sandbox)
    assert shell(sandbox, "cat vendor/library/inner/deep.txt") == "deep"


@pytest.fixture
def secret(tmp_path):
    """A repository of the user's with a file that nobody is to see. Its commit is known to the attacker."""
    made = make(tmp_path / "home/secret", {"value.h": "secret\n"})
    made.git("gc", "-q")  # into a pack, which an attacker could name by its folder
    return made


WAYS = {
    "a .git file": "echo gitdir: $theirs/.git >$library/.git",
    "a .git link": "rm $library/.git; ln -s $theirs/.git $library/.git",
    "a link to the work tree": "rm -r $library; ln -s $theirs $library",
    "a link above": "rm -r vendor; mv $theirs ${theirs%/*}/library; ln -s ${theirs%/*} vendor",
    "a linked git folder": "rm -r $modules; ln -s $theirs/.git $modules",
    "all git folders linked": "rm -r .git/modules; ln -s $theirs/.. .git/modules; mv $theirs/.git/* $theirs",
    "linked objects": "rm -r $modules/objects; ln -s $theirs/.git/objects $modules/objects",
    "linked packs": "rm -r $modules/objects/pack; ln -s $theirs/.git/objects/pack $modules/objects/pack",
    "a common folder": "rm -r $modules/objects; echo $theirs/.git >$modules/commondir",
    "borrowed objects": "mkdir -p $modules/objects/info; echo $theirs/.git/objects >$modules/objects/info/alternates",
    "a work tree elsewhere": "git --git-dir=$modules config core.worktree $theirs",
}


def lead_astray(project: Repository, secret: Repository, way: str) -> None:
    """Let the submodule lead to the secret repository."""
    names = f"theirs={secret.root} modules=.git/modules/vendor/library library=vendor/library"
    subprocess.run(["bash", "-ec", f"{names}\n{WAYS[way]}"], cwd=project.root, check=True)


def packed_objects(folder: Path) -> set[str]:
    """The ids of all objects in packs under a folder."""
    indexes = [subprocess.run(["git", "show-index"], stdin=file.open(), capture_output=True, check=True) for file in folder.rglob("*.idx")]
    return {line.split()[1] for index in indexes for line in index.stdout.decode().splitlines()}


@pytest.mark.parametrize("way", WAYS)
def test_a_submodule_that_leads_out_of_the_repository_brings_nothing_in(project, secret, tmp_path, way):
    wanted, hidden = secret.git("rev-parse", "HEAD"), packed_objects(secret.root)
    assert wanted in hidden
    project.git("update-index", "--cacheinfo", f"160000,{wanted},vendor/library")
    project.git("commit", "-qm", "names the secret")
    head = project.git("rev-parse", "HEAD")
    lead_astray(project, secret, way)
    for number, commit in enumerate((head, git.snapshot(project.root).commit)):
        git.make_repository(tmp_path / f"seen{number}", git.pack(project.root, commit))
        git.clone_shared(project.root, tmp_path / f"copy{number}", commit)
        seen = packed_objects(tmp_path / f"seen{number}")
        assert commit in seen
        assert not (seen | packed_objects(tmp_path / f"copy{number}")) & hidden


@pytest.mark.parametrize("way", ["a .git file", "a .git link"])
def test_it_is_told_that_a_submodule_lies_elsewhere(project, secret, way):
    lead_astray(project, secret, way)
    assert check_submodules(project.root, git.snapshot(project.root).commit).foreign == ("vendor/library",)


@pytest.mark.parametrize("name", ["..", "../../home/secret", ".", "/", "vendor/../../home/secret"])
def test_a_path_that_climbs_out_brings_nothing_in(project, secret, tmp_path, name):
    commit = secret.git("rev-parse", "HEAD")
    assert pack_submodules(project.root, {name: commit, str(secret.root): commit}, tmp_path / "packed") == ()
    assert not (tmp_path / "packed").exists()


def test_no_program_that_a_submodule_names_is_run(project, sandbox, tmp_path):
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\necho $0 $@ >>{tmp_path}/caught\ncat\n")
    trap.chmod(0o755)
    for path in ("vendor/library", "vendor/library/inner"):
        inside = Repository(project.root / path)
        folder = Path(inside.git("rev-parse", "--absolute-git-dir"))
        (folder / "info").mkdir(exist_ok=True)
        (folder / "info/attributes").write_text("* filter=evil diff=evil\n")
        for key in ("filter.evil.clean", "filter.evil.smudge", "diff.evil.textconv", "diff.external", "core.fsmonitor", "core.pager"):
            inside.git("config", key, str(trap))
        for hook in ("post-checkout", "post-index-change", "pre-commit"):
            (folder / "hooks").mkdir(exist_ok=True)
            shutil.copy(trap, folder / "hooks" / hook)
        for file in inside.root.iterdir():
            os.utime(file, (1, 1))  # git has to read it again
    for key, value in (("diff.submodule", "diff"), ("submodule.recurse", "true"), ("status.submoduleSummary", "true")):
        project.git("config", key, value)
    (tmp_path / "caught").unlink(missing_ok=True)
    base = enter(project, sandbox)
    check_submodules(project.root, base)
    shell(sandbox, "echo x >a.txt")
    result = git.commit(project.root, git.collect_tree(sandbox, project.root, base), base, "work", trailers={})
    git.diff(project.root, project.git("rev-parse", "HEAD^"), result)
    git.list_changed(project.root, project.git("rev-parse", "HEAD^"), result)
    git.clone_shared(project.root, tmp_path / "copy", result)
    git.apply(project.root, base, result)
    git.undo(project.root)
    assert not (tmp_path / "caught").exists()


def test_too_many_submodules_are_refused(repository, origins):
    link = Repository(origins / "inner").git("rev-parse", "HEAD")
    with pytest.raises(RepositoryError, match="more than 1,000 submodules"):
        check_submodules(
            repository.root, repository.git("mktree", data="".join(f"160000 commit {link}\tx{n}\n" for n in range(1001)).encode())
        )
