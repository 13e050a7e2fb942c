"""Trees of git: three of them merged, two of them compared, and files written into a tree and out of it byte for byte."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from codagent.files import temporary_folder
from codagent.repository.git.changes.work_tree import Changes, is_file
from codagent.repository.git.command import Git
from codagent.repository.git.objects import diff_trees, quote_path, read_blobs, split_paths
from codagent.repository.git.snapshot import IDENTITY

_LINK, _PROGRAM, _FILE = "120000", "100755", "100644"
_OURS, _THEIRS = (re.compile(rb"^" + sign * 7 + rb" [0-9a-f]{40,64}$", re.MULTILINE) for sign in (b"<", b">"))


def merge(root: Path, base: str, ours: str, theirs: str) -> tuple[str, tuple[str, ...]]:
    """Merge two commits or trees with `base` as their common ancestor. Returns the tree, and the paths that could not be merged."""
    return merge_trees(Git(root), base, ours, theirs)


def merge_trees(git: Git, base: str, ours: str, theirs: str, *, renames: bool = True) -> tuple[str, tuple[str, ...]]:
    """Return the merged tree, and the paths that could not be merged. In the tree, these have conflict markers where they are text.

    `renames` follows files that one side has renamed. The commits are made for this merge only, so that git takes `base` as the common
    ancestor.
    """
    trees = git.line("rev-parse", *(f"{tree}^{{tree}}" for tree in (base, ours, theirs))).splitlines()
    start = git.line("commit-tree", trees[0], env=IDENTITY, stdin=b"base\n")
    sides = [git.line("commit-tree", tree, "-p", start, env=IDENTITY, stdin=b"side\n") for tree in trees[1:]]
    settings = () if renames else ("-c", "merge.renames=false")
    form = ("--write-tree", "-z", "--name-only", "--no-messages")
    tree, *conflicts = git(*settings, "merge-tree", *form, *sides, codes=(0, 1)).split(b"\0")
    return tree.decode(), tuple(dict.fromkeys(split_paths(b"\0".join(conflicts))))


def find_changes(git: Git, a: str, b: str) -> Changes:
    """Return the paths that differ between two trees or commits."""
    pairs = diff_trees(git, a, b)
    return Changes(
        written=tuple(path for facts, path in pairs if not facts.endswith("D")),
        removed=tuple(path for facts, path in pairs if not facts.endswith("A")),
    )


def write_exact_tree(git: Git, folder: Path, paths: Iterable[str]) -> str:
    """Write the files of `folder` at `paths` into a tree, byte for byte, and return its id. Paths where there is no file are left out."""
    there = [path for path in paths if is_file(folder / path)]
    links = {path: os.fsencode((folder / path).readlink()) for path in there if (folder / path).is_symlink()}
    files = [path for path in there if path not in links]
    names = b"".join(quote_path(folder / path) + b"\n" for path in files)
    blobs = dict(zip(files, git.line("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=names).split(), strict=True))
    blobs |= {path: git.line("hash-object", "-w", "--stdin", stdin=target) for path, target in links.items()}
    entries = b"".join(f"{_mode(folder / path)} {blob}\t".encode() + os.fsencode(path) + b"\0" for path, blob in blobs.items())
    with temporary_folder() as scratch:
        env = {"GIT_INDEX_FILE": str(scratch / "index")}
        git("update-index", "-z", "--add", "--index-info", stdin=entries, env=env)
        return git.line("write-tree", env=env)


def list_exact_tree(git: Git, tree: str) -> dict[str, tuple[str, str]]:
    """Return the mode and the id of each file of a tree, by path. Raises RepositoryError for a path that means something to git."""
    with temporary_folder() as scratch:
        git("read-tree", tree, env={"GIT_INDEX_FILE": str(scratch / "index")})
    entries = [entry.partition(b"\t") for entry in git("ls-tree", "-r", "-z", "--full-tree", tree).split(b"\0") if entry]
    return {os.fsdecode(path): (facts.split()[0].decode(), facts.split()[2].decode()) for facts, _, path in entries}


def check_out_exactly(git: Git, tree: str, paths: Iterable[str], folder: Path) -> None:
    """Write files of a tree into `folder`, byte for byte."""
    entries = list_exact_tree(git, tree)
    wanted = [(path, *entries[path]) for path in paths]
    contents = read_blobs(git, [blob for _, _, blob in wanted])
    for path, mode, blob in wanted:
        content = contents[blob]
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if mode == _LINK:
            file.symlink_to(os.fsdecode(content))
            continue
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o777 if mode == _PROGRAM else 0o666), "wb") as opened:
            opened.write(content)


def label_markers(file: Path) -> None:
    """Name the two sides of the conflicts in a file. git names them after commits that nobody knows."""
    if file.is_file() and not file.is_symlink():
        file.write_bytes(_OURS.sub(b"<<<<<<< yours", _THEIRS.sub(b">>>>>>> codagent", file.read_bytes())))


def _mode(file: Path) -> str:
    if file.is_symlink():
        return _LINK
    return _PROGRAM if file.stat().st_mode & 0o100 else _FILE
