"""Applies a change to the user's files by a three-way merge: all of it, or nothing. The index is not touched."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from codagent.errors import RepositoryError
from codagent.files import make_folder
from codagent.repository.git.command import Git
from codagent.repository.git.objects import move_file
from codagent.repository.git.snapshot import IDENTITY, snapshot, split_paths


@dataclass(frozen=True, slots=True)
class _Changes:
    """The paths that are written, and the paths that are removed. A path that is replaced is in both."""

    written: tuple[str, ...]
    removed: tuple[str, ...]


def apply(root: Path, base: str, result: str) -> tuple[str, ...]:
    """Apply the change from `base` to `result` to the working tree as it is now.

    Returns the paths in conflict; if there are any, nothing was changed. Raises RepositoryError when a file cannot be written.
    """
    git = Git(root, work_tree=True)
    now = snapshot(root).commit
    merged, conflicts = _merge(git, base, now, result)
    if conflicts:
        return conflicts
    changes = _changes(git, now, merged)
    if not changes.written and not changes.removed:
        return ()
    with _stage(git, merged, changes) as staged:
        if in_the_way := _find_obstacles(root, staged, changes):
            return in_the_way
        _move_all(root, staged, changes)
    return ()


def _merge(git: Git, base: str, now: str, result: str) -> tuple[str, tuple[str, ...]]:
    """Return the merged tree, and the paths that could not be merged.

    The commits are made for this merge only, so that git takes `base` as the common ancestor.
    """
    trees = git.line("rev-parse", *(f"{commit}^{{tree}}" for commit in (base, now, result))).splitlines()
    start = git.line("commit-tree", trees[0], env=IDENTITY, stdin=b"base\n")
    ours, theirs = (git.line("commit-tree", tree, "-p", start, env=IDENTITY, stdin=b"side\n") for tree in trees[1:])
    tree, *conflicts = git("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs, codes=(0, 1)).split(b"\0")
    return tree.decode(), tuple(dict.fromkeys(split_paths(b"\0".join(conflicts))))


def _changes(git: Git, now: str, merged: str) -> _Changes:
    fields = git("diff-tree", "-r", "-z", "--no-renames", "--name-status", f"{now}^{{tree}}", merged).split(b"\0")
    pairs = [(status, os.fsdecode(path)) for status, path in zip(fields[:-1:2], fields[1::2], strict=True)]
    return _Changes(
        written=tuple(path for status, path in pairs if status != b"D"),
        removed=tuple(path for status, path in pairs if status != b"A"),
    )


@contextmanager
def _stage(git: Git, merged: str, changes: _Changes) -> Iterator[Path]:
    """Make a folder on the same disk. Its subfolder `new` has the files to write as git checks them out: modes, links, line ends."""
    state = git.root / ".codagent"
    existed = os.path.lexists(state)
    make_folder(state)
    try:
        with tempfile.TemporaryDirectory(prefix="apply-", dir=state) as folder:
            staged = Path(folder)
            env = {"GIT_INDEX_FILE": str(staged / "index")}
            wanted = b"".join(os.fsencode(path) + b"\0" for path in changes.written)
            git("read-tree", merged, env=env)
            prefix = f"--prefix=.codagent/{staged.name}/new/"
            git("checkout-index", "-z", "--stdin", "--ignore-skip-worktree-bits", prefix, stdin=wanted, env=env)
            yield staged
    finally:
        if not existed:
            state.rmdir()


def _find_obstacles(root: Path, staged: Path, changes: _Changes) -> tuple[str, ...]:
    """Return the paths where something exists that git does not know: an ignored file, or a link to another place."""
    going = set(changes.removed)
    behind = [path for path in changes.removed if _is_behind_file(root, path, going)]
    blocked = [path for path in changes.written if _is_behind_file(root, path, going) or _is_taken(root, staged, path, going)]
    return tuple(dict.fromkeys([*behind, *blocked]))


def _is_behind_file(root: Path, path: str, going: set[str]) -> bool:
    for parent in PurePath(path).parents:
        target = root / parent
        if str(parent) not in going and os.path.lexists(target) and (target.is_symlink() or not target.is_dir()):
            return parent != PurePath()  # the root itself may be reached through a link
    return False


def _is_taken(root: Path, staged: Path, path: str, going: set[str]) -> bool:
    target = root / path
    if path in going or not os.path.lexists(target):
        return False
    if target.is_dir() and not target.is_symlink():
        return any(str(Path(folder, name).relative_to(root)) not in going for folder, _, names in os.walk(target) for name in names)
    return not _is_same(target, staged / "new" / path)


def _is_same(a: Path, b: Path) -> bool:
    if a.is_symlink() or b.is_symlink():
        return a.is_symlink() and b.is_symlink() and a.readlink() == b.readlink()
    return a.read_bytes() == b.read_bytes()


def _move_all(root: Path, staged: Path, changes: _Changes) -> None:
    try:
        with ExitStack() as undo:
            for path in changes.removed:
                if os.path.lexists(root / path):
                    _move(root / path, staged / "old" / path)
                    undo.callback(_move, staged / "old" / path, root / path)
            for path in changes.removed:
                _remove_empty_folders(root, path)
            for path in changes.written:
                if (root / path).is_file():
                    continue  # the same file exists already, ignored by git
                _move(staged / "new" / path, root / path)
                undo.callback(_move, root / path, staged / "new" / path)
            undo.pop_all()
    except OSError as error:
        raise RepositoryError(
            f"{error.filename2 or error.filename} could not be written ({error.strerror}); nothing was changed"
        ) from error


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    move_file(source, target)


def _remove_empty_folders(root: Path, path: str) -> None:
    for parent in PurePath(path).parents[:-1]:
        try:
            (root / parent).rmdir()
        except OSError:
            return  # it has other files
