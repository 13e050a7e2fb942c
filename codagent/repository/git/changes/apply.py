"""Applies a change to the user's files by a three-way merge: all of it, or nothing. The index is not touched.

What lies on the disk counts, and not what git believes of it: each file that the change concerns is read, whatever flags, times or ignore
rules hide it from git.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable
from difflib import SequenceMatcher
from pathlib import Path

from codagent.errors import RepositoryError
from codagent.files import temporary_folder
from codagent.repository.git.changes.merge import find_changes, label_markers, merge_trees
from codagent.repository.git.changes.undo import record_change
from codagent.repository.git.changes.work_tree import Changes, find_obstacles, is_behind_file, is_file, keep_mode, move_all, staging_folder
from codagent.repository.git.command import Git
from codagent.repository.git.objects import split_paths
from codagent.repository.git.snapshot import find_filtered, snapshot


def apply(root: Path, base: str, result: str, *, label: str = "", markers: bool = False) -> tuple[str, ...]:
    """Apply the change from `base` to `result` to the working tree as it is now. `undo` takes it back; `label` is what it tells of it.

    Returns the paths in conflict. If there are any, nothing was changed; with `markers`, all was changed, and the files in conflict have
    both versions between conflict markers. Raises RepositoryError when a file cannot be written, and when the change concerns a file under
    a filter that is not run.
    """
    git = Git(root, work_tree=True)
    now, merged, conflicts = _merge(git, base, result)
    changes = find_changes(git, now, merged)
    if (conflicts and not markers) or not changes.paths:
        return conflicts
    with staging_folder(root) as staged:
        _check_out(git, staged, now, merged, changes)
        if in_the_way := find_obstacles(root, staged, changes):
            return in_the_way
        for path in changes.written:
            versions = root / path, staged / "now" / path, staged / "new" / path
            if path in conflicts:
                label_markers(versions[2])
            _keep_line_ends(*versions)
            keep_mode(*versions)
        with record_change(git, staged / "new", changes, label):
            move_all(root, staged, changes)
    return conflicts


def is_applied(root: Path, base: str, result: str) -> bool:
    """Whether the working tree has the change from `base` to `result` already. Raises as `apply` does."""
    git = Git(root, work_tree=True)
    now, merged, conflicts = _merge(git, base, result)
    return not conflicts and not find_changes(git, now, merged).paths


def _merge(git: Git, base: str, result: str) -> tuple[str, str, tuple[str, ...]]:
    """Return the tree of the files as they are now, the tree that the merge makes of it, and the paths that could not be merged."""
    wanted = find_changes(git, base, result)
    _refuse_filtered(git, wanted, result)
    now = _read_disk(git, snapshot(git.root).commit, wanted)
    return now, *merge_trees(git, base, now, result)


def _refuse_filtered(git: Git, wanted: Changes, result: str) -> None:
    """Raise RepositoryError when a file that is there already is under a filter: what git has of it is not what lies on the disk.

    A file that is what it is to become is no hindrance.
    """
    there = {*wanted.removed, *(path for path in wanted.written if os.path.lexists(git.root / path))}
    filtered = find_filtered(git, sorted(there))
    kept = {
        path for path in filtered if path in wanted.written and _has_content(git.root / path, git("cat-file", "blob", f"{result}:{path}"))
    }
    if names := ", ".join(f"{path} (filter {filtered[path]})" for path in filtered if path not in kept):
        raise RepositoryError(f"nothing was changed: codagent does not run the filters that git has for {names}; make that change by hand")


def _has_content(file: Path, content: bytes) -> bool:
    return file.is_file() and not file.is_symlink() and file.read_bytes() == content


def _read_disk(git: Git, now: str, wanted: Changes) -> str:
    """Return the tree of `now` with the files of the change as they are on the disk.

    A file that the index is told not to look at differs from `now`, and so does an ignored file. A file that a sparse checkout does not
    show stays as it is in `now`.
    """
    known = set(split_paths(git("ls-tree", "-r", "-z", "--name-only", "--full-tree", now)))
    hidden = {path[2:] for path in split_paths(git("ls-files", "-t", "-z")) if path.startswith("S ")}
    paths = [path for path in dict.fromkeys((*wanted.written, *wanted.removed)) if path in known or path in wanted.written]
    behind = {path for path in paths if is_behind_file(git.root, path, set())}
    files = [path for path in paths if path not in behind and is_file(git.root / path)]
    gone = [path for path in paths if path in known and path not in hidden and path not in files]
    with temporary_folder() as folder:
        env = {"GIT_INDEX_FILE": str(folder / "index")}
        git("read-tree", now, env=env)
        git("update-index", "-z", "--force-remove", "--stdin", stdin=_join_paths(gone), env=env)
        git("update-index", "-z", "--add", "--replace", "--stdin", stdin=_join_paths(files), env=env)
        return git.line("write-tree", "--missing-ok", env=env)


def _check_out(git: Git, staged: Path, now: str, merged: str, changes: Changes) -> None:
    """Write files to `staged` as git checks them out: modes, links, line ends.

    The subfolder `new` gets the files to write, and the subfolder `now` the files that they replace.
    """
    replaced = sorted({*changes.written} & {*changes.removed})
    for name, tree, paths in (("now", now, replaced), ("new", merged, changes.written)):
        env = {"GIT_INDEX_FILE": str(staged / f"index-{name}")}
        git("read-tree", tree, env=env)
        prefix = f"--prefix=.codagent/{staged.name}/{name}/"
        git("checkout-index", "-z", "--stdin", "--ignore-skip-worktree-bits", prefix, stdin=_join_paths(paths), env=env)


def _keep_line_ends(disk: Path, now: Path, new: Path) -> None:
    """Give the lines of `new` the line ends that they have in the user's file, when git would change these.

    git checks a file out with one kind of line end. `now` is what it makes of the user's file; where that differs in CR LF alone, the
    lines that stay keep their ends, and the others end as most lines do.
    """
    if not all(path.is_file() and not path.is_symlink() for path in (disk, now, new)):
        return
    theirs, again = disk.read_bytes(), now.read_bytes()
    if b"\r\n" not in theirs or theirs == again or theirs.replace(b"\r\n", b"\n") != again.replace(b"\r\n", b"\n"):
        return
    default = b"\r" if 2 * theirs.count(b"\r\n") >= theirs.count(b"\n") else b""
    old, lines = theirs.split(b"\n"), new.read_bytes().split(b"\n")
    old_ends = [b"\r" if line.endswith(b"\r") else b"" for line in old[:-1]] + [default]
    bare, lines = [_strip_returns(part) for part in (old, lines)]
    ends: list[bytes] = []
    for kind, start, stop, first, last in SequenceMatcher(None, bare, lines).get_opcodes():
        ends += old_ends[start:stop] if kind == "equal" else [default] * (last - first)
    ends[-1] = b""  # what follows the last newline is no whole line
    new.write_bytes(b"\n".join(map(operator.add, lines, ends)))


def _strip_returns(lines: list[bytes]) -> list[bytes]:
    return [line.removesuffix(b"\r") for line in lines[:-1]] + lines[-1:]


def _join_paths(paths: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(path) + b"\0" for path in paths)
