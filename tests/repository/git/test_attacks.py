"""What a repository, or a sandbox, may try against the user's machine and repository."""

from __future__ import annotations

import hashlib
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import pytest

from codagent.errors import RepositoryError
from codagent.repository import git
from codagent.repository.git.transfer.receive import receive
from codagent.types import CommandResult


def state(root: Path) -> dict[str, object]:
    """Every byte of the repository and work tree but objects; times too, since a touched index is a touched index."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_file() and not name.startswith((".git/objects/", ".git/refs/codagent/", ".git/refs/heads/codagent/")):
            found[name] = (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns, path.stat().st_mode)
    return found


def whole_round(root, sandbox):
    taken = git.snapshot(root)
    git.copy_in(sandbox, git.pack(root, taken.commit))
    sandbox.run("echo agent >>a.txt; echo new >agent.bin; echo new >agent.txt", timeout=60)
    tree = git.collect_tree(sandbox, root, taken.commit)
    result = git.commit(root, tree, taken.commit, "result", trailers={})
    git.publish(root, "l1", 0, result, best=result)
    git.diff(root, taken.commit, result)
    return taken.commit, result


def test_the_users_repository_stays_byte_for_byte_what_it_was(repository, sandbox):
    repository.write("a.txt", "stashed\n")
    repository.git("stash", "push", "-q")
    repository.git("tag", "v1")
    repository.write("staged.txt", "staged\n")
    repository.git("add", "staged.txt")
    repository.write("untracked.txt", "untracked\n")
    (repository.root / ".gitignore").touch()  # its time differs from the index's: git would like to refresh it
    before = state(repository.root)
    base, result = whole_round(repository.root, sandbox)
    git.unpublish(repository.root, "l1")
    assert state(repository.root) == before
    assert git.apply(repository.root, base, result) == ()
    after = state(repository.root)
    assert {name for name in before | after if before.get(name) != after.get(name)} == {"a.txt", "agent.txt", "agent.bin"}


HOOKS = (
    "pre-commit",
    "post-commit",
    "commit-msg",
    "post-checkout",
    "post-index-change",
    "reference-transaction",
    "post-update",
    "pre-auto-gc",
)


def test_no_program_that_the_repository_names_is_run(repository, sandbox, tmp_path):
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\necho $0 $@ >>{tmp_path}/caught\ncat\n")
    trap.chmod(0o755)
    for hook in HOOKS:
        repository.write(f".git/hooks/{hook}", trap.read_text()).chmod(0o755)
    repository.write(".gitattributes", "* diff=evil merge=evil\nlib/* filter=evil\n*.bin filter=long\n")
    settings = {
        **{f"filter.evil.{name}": trap for name in ("clean", "smudge")},
        "filter.long.process": trap,
        "filter.long.required": "true",
        "diff.evil.command": trap,
        "diff.evil.textconv": trap,
        "merge.evil.driver": trap,
        "diff.external": trap,
        "core.fsmonitor": trap,
        "core.pager": trap,
        "core.editor": trap,
        "gpg.program": trap,
        "commit.gpgSign": "true",
        "core.hooksPath": repository.root / ".git/hooks",
        "gc.auto": "1",
        "core.alternateRefsCommand": trap,
    }
    for key, value in settings.items():
        repository.git("config", key, str(value))
    repository.write("a.txt", "changed\n")
    repository.write("lib/b.txt", "changed\n")
    repository.write("b.bin", "bytes\n")
    base, result = whole_round(repository.root, sandbox)
    assert git.apply(repository.root, base, result) == ()
    repository.write("a.txt", "the user's own\n")
    assert git.apply(repository.root, base, result) == ("a.txt",)
    git.unpublish(repository.root, "l1")
    assert not (tmp_path / "caught").exists()


@pytest.mark.parametrize("way", ["excludesFile", "info/exclude"])
def test_a_repository_does_not_choose_what_of_this_machine_is_read(repository, sandbox, tmp_path, way):
    (tmp_path / "id_rsa").write_text("a private key\n")
    if way == "excludesFile":
        repository.git("config", "core.excludesFile", str(tmp_path / "id_rsa"))
    else:
        (repository.root / ".git/info/exclude").unlink()
        (repository.root / ".git/info/exclude").symlink_to(tmp_path / "id_rsa")
    git.copy_in(sandbox, git.pack(repository.root, git.snapshot(repository.root).commit))
    assert "private" not in sandbox.run("cat .git/info/exclude", timeout=60).output


@pytest.mark.parametrize("named", ["", "..", "../../.."])
def test_a_repository_whose_files_would_be_those_of_another_folder_is_refused(repository, tmp_path, named):
    repository.git("config", "core.worktree", named or f"{tmp_path}/other")
    (tmp_path / "other").mkdir()
    if named == "..":
        assert git.snapshot(repository.root).dirty is False  # it is this folder, seen from .git
        return
    with pytest.raises(RepositoryError, match=r"git takes the files of .*repository from .*core\.worktree"):
        git.snapshot(repository.root)


@pytest.mark.parametrize("name", [".git/index", ".git/info/exclude", ".git"])
def test_a_device_in_the_place_of_a_file_of_git_is_not_read_without_end(tmp_path, repository, name):
    if name == ".git":
        (repository.root / ".git").rename(tmp_path / "git")
    (repository.root / name).unlink(missing_ok=True)
    (repository.root / name).symlink_to("/dev/zero")
    (repository.root / ".codagent").mkdir()
    with suppress(RepositoryError):
        git.is_tracked(repository.root, ".codagent")
        git.pack(repository.root, git.snapshot(repository.root).commit)


BLOB, TREE, REFERENCE_DELTA = 3, 2, 7


def pack_of(*objects: tuple[int, bytes], declared: int | None = None) -> bytes:
    """A pack as git reads it; `declared` is a size that is not true."""
    packed = b"PACK" + struct.pack(">II", 2, len(objects))
    for kind, data in objects:
        size = len(data) if declared is None else declared
        byte, size = kind << 4 | size & 15, size >> 4
        while size:
            packed += bytes([byte | 0x80])
            byte, size = size & 0x7F, size >> 7
        base = bytes(20) if kind == REFERENCE_DELTA else b""
        packed += bytes([byte]) + base + zlib.compress(data)
    return packed + hashlib.sha1(packed).digest()


def tree_of(*entries: tuple[str, bytes, str]) -> tuple[bytes, str]:
    data = b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)
    return data, hashlib.sha1(b"tree %d\0" % len(data) + data).hexdigest()


HOOK = b"#!/bin/sh\n"
HOOK_ID = hashlib.sha1(b"blob %d\0" % len(HOOK) + HOOK).hexdigest()


def packs_in(root):
    return sorted(path.name for path in (root / ".git/objects").rglob("*") if path.is_file())


@pytest.mark.parametrize("name", [b"..", b".", b".git", b".GIT", b"git~1", b".g\xe2\x80\x8cit", b"../x", b"/etc/x", b"a/../../x", b""])
@pytest.mark.parametrize("mode", ["100755", "40000"])
def test_a_path_that_climbs_out_or_means_something_to_git_is_refused(repository, name, mode):
    inner, inner_id = tree_of(("100755", b"hook", HOOK_ID))
    tree, tree_id = tree_of((mode, name, inner_id if mode == "40000" else HOOK_ID))
    before = packs_in(repository.root)
    with pytest.raises(RepositoryError, match="what came out of the sandbox was refused"):
        receive(repository.root, repository.git("rev-parse", "HEAD"), tree_id, pack_of((BLOB, HOOK), (TREE, inner), (TREE, tree)))
    assert packs_in(repository.root) == before


def test_a_link_and_a_file_behind_it_are_refused(repository):
    inner, inner_id = tree_of(("100755", b"hook", HOOK_ID))
    tree, tree_id = tree_of(("120000", b"a", HOOK_ID), ("40000", b"a", inner_id))
    with pytest.raises(RepositoryError, match="duplicateEntries"):
        receive(repository.root, repository.git("rev-parse", "HEAD"), tree_id, pack_of((BLOB, HOOK), (TREE, inner), (TREE, tree)))


@pytest.mark.parametrize("name", [b".codagent", b".Codagent"])
def test_the_place_of_the_records_cannot_be_written(repository, name):
    inner, inner_id = tree_of(("100644", b"notes.md", HOOK_ID))
    tree, tree_id = tree_of(("40000", name, inner_id))
    with pytest.raises(RepositoryError, match="where loops are recorded"):
        receive(repository.root, repository.git("rev-parse", "HEAD"), tree_id, pack_of((BLOB, HOOK), (TREE, inner), (TREE, tree)))


def test_a_tree_that_is_not_whole_is_refused(repository):
    tree, tree_id = tree_of(("100644", b"a", "1" * 40))
    with pytest.raises(RepositoryError, match="refused"):
        receive(repository.root, repository.git("rev-parse", "HEAD"), tree_id, pack_of((TREE, tree)))
    with pytest.raises(RepositoryError, match="refused"):
        receive(repository.root, repository.git("rev-parse", "HEAD"), "2" * 40, pack_of((BLOB, HOOK)))


def test_a_bomb_is_refused_before_it_unpacks(repository):
    head = repository.git("rev-parse", "HEAD")
    honest = pack_of((BLOB, bytes(1 << 20)), declared=5 << 30)
    with pytest.raises(RepositoryError, match="unpacks to more than 1024 MB"):
        receive(repository.root, head, "1" * 40, honest)
    liar = pack_of((BLOB, bytes(1 << 20)), declared=10)
    with pytest.raises(RepositoryError, match="its pack is damaged"):
        receive(repository.root, head, "1" * 40, liar)
    delta = b"\x0a" + b"\xff\xff\xff\xff\x7f" + b"\x90\x0a"  # of ten bytes it makes 34 GB, it says
    with pytest.raises(RepositoryError, match="unpacks to more than 1024 MB"):
        receive(repository.root, head, "1" * 40, pack_of((REFERENCE_DELTA, delta)))


@pytest.mark.parametrize("pack", [b"", b"PACK", b"PACK\0\0\0\2\xff\xff\xff\xff", b"garbage" * 9, b"PACK\0\0\0\2\0\0\0\1\xff"])
def test_a_pack_of_garbage_is_refused(repository, pack):
    with pytest.raises(RepositoryError, match="refused"):
        receive(repository.root, repository.git("rev-parse", "HEAD"), "1" * 40, pack)


def test_what_a_sandbox_says_is_neither_trusted_nor_shown_as_it_is(repository, sandbox):
    class Hostile:
        """Answers everything with the same text."""

        write, read, kill_all, close = sandbox.write, sandbox.read, sandbox.kill_all, sandbox.close

        def __init__(self, output: str) -> None:
            self.output = output

        def run(self, command, *, timeout):
            return CommandResult(0, self.output, timed_out=False, seconds=0)

    head = repository.git("rev-parse", "HEAD")
    for said in ("", "--help", "HEAD", "\x1b[2Jgone", "main:secret", "1" * 40):
        with pytest.raises(RepositoryError, match="the sandbox gave no result") as caught:
            git.collect_tree(Hostile(said), repository.root, head)
        assert str(caught.value).isprintable()


def test_an_alternate_or_a_replacement_in_the_sandbox_does_not_matter_here(repository, sandbox):
    taken = git.snapshot(repository.root)
    git.copy_in(sandbox, git.pack(repository.root, taken.commit))
    sandbox.run("echo evil >evil; git replace -f $(git rev-parse HEAD:a.txt) $(git hash-object -w evil); rm evil; echo x >x", timeout=60)
    tree = git.collect_tree(sandbox, repository.root, taken.commit)
    assert git.read_file(repository.root, tree, "a.txt") == b"one\ntwo\nthree\n"
    assert not (repository.root / ".git/refs/replace").exists()
