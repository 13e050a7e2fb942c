"""Takes back a change that `apply` has made. Each is kept in `refs/codagent/applied`, byte for byte, on top of the one before it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from codagent.errors import RepositoryError
from codagent.repository.git.changes.merge import check_out_exactly, find_changes, list_exact_tree, merge_trees, write_exact_tree
from codagent.repository.git.changes.work_tree import Changes, find_obstacles, is_behind_file, keep_mode, move_all, staging_folder
from codagent.repository.git.command import Git
from codagent.repository.git.snapshot import IDENTITY

APPLIED = "refs/codagent/applied"


@dataclass(frozen=True, slots=True)
class Undone:
    """What `undo` did."""

    label: str  # what `apply` was told to keep with the change
    paths: tuple[str, ...]  # that were changed; (): the files are as they were before the change already
    conflicts: tuple[str, ...] = ()  # were changed since where the change was; then nothing was taken back


@dataclass(frozen=True, slots=True)
class _Applied:
    """A change as it was applied: two trees with the files that it concerned, as they lay on the disk before and after it."""

    id: str
    before: str
    after: str
    previous: str  # the change that was applied before this one; "": there is none
    label: str
    modes: dict[str, int]  # permissions of the files before


def undo(root: Path) -> Undone:
    """Take back the change that was applied last, and not taken back yet. What was done to other lines and files since stays.

    Nothing is changed when a file was changed since in the same place. Raises RepositoryError when there is nothing to take back, and when
    a file cannot be written.
    """
    git = Git(root, work_tree=True)
    applied = _read_latest(git)
    if applied is None:
        raise RepositoryError("there is no applied change that could be taken back")
    concerned = {path for tree in (applied.before, applied.after) for path in list_exact_tree(git, tree)}
    now = write_exact_tree(git, root, [path for path in concerned if not is_behind_file(root, path, set())])
    merged, conflicts = merge_trees(git, applied.after, now, applied.before, renames=False)
    changes = find_changes(git, now, merged)
    if not conflicts and changes.paths:
        conflicts = _write(git, merged, changes, applied.modes)
    if conflicts:
        return Undone(applied.label, (), conflicts)
    _move_ref(git, applied.id, applied.previous)
    return Undone(applied.label, changes.paths)


def forget_applied(root: Path) -> None:
    """Forget all changes that were applied, so that none of them can be taken back. git removes the objects later."""
    Git(root)("update-ref", "-d", APPLIED)


@contextmanager
def record_change(git: Git, new: Path, changes: Changes, label: str) -> Iterator[None]:
    """Keep a change that is made in the `with` block, so that it can be undone. `new` is the folder with the files that it writes."""
    before = [path for path in changes.paths if not is_behind_file(git.root, path, set(changes.removed))]
    modes = {path: (git.root / path).stat().st_mode & 0o777 for path in before if (git.root / path).is_file()}
    trees = write_exact_tree(git, git.root, before), write_exact_tree(git, new, changes.written)
    parent = git.line("commit-tree", trees[0], stdin=b"before\n", env=IDENTITY)
    latest = _read_latest(git)
    parents = ("-p", parent, *(("-p", latest.id) if latest else ()))
    message = json.dumps({"label": label, "modes": modes}).encode()
    made = git.line("commit-tree", trees[1], *parents, stdin=message, env=IDENTITY)
    _move_ref(git, latest.id if latest else "", made)
    try:
        yield
    except BaseException:
        _move_ref(git, made, latest.id if latest else "")
        raise


def _read_latest(git: Git) -> _Applied | None:
    found = git("rev-parse", "--verify", "--quiet", APPLIED, codes=(0, 1)).decode().strip()
    if not found:
        return None
    header, _, message = os.fsdecode(git("cat-file", "commit", found)).partition("\n\n")
    parents = [line.removeprefix("parent ") for line in header.splitlines() if line.startswith("parent ")]
    try:
        facts = json.loads(message)
        modes = {path: mode & 0o777 for path, mode in facts["modes"].items()}
        return _Applied(found, parents[0], found, parents[1] if len(parents) > 1 else "", str(facts["label"]), modes)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise RepositoryError(f"{APPLIED} is not codagent's; `git update-ref -d {APPLIED}` removes it") from None


def _write(git: Git, tree: str, changes: Changes, modes: dict[str, int]) -> tuple[str, ...]:
    """Write the files of a tree. Returns the paths where something is in the way; then nothing was written."""
    with staging_folder(git.root) as staged:
        check_out_exactly(git, tree, changes.written, staged / "new")
        if in_the_way := find_obstacles(git.root, staged, changes):
            return in_the_way
        for path in changes.written:
            file, new = git.root / path, staged / "new" / path
            if file.is_file():
                keep_mode(file, file, new)
            elif path in modes and not new.is_symlink():
                new.chmod(modes[path])
        move_all(git.root, staged, changes)
    return ()


def _move_ref(git: Git, before: str, after: str) -> None:
    """Point the ref from one change to another. "": there is none. Raises RepositoryError when another process has moved it meanwhile."""
    nothing = "0" * len(before or after)
    git("update-ref", APPLIED, after or nothing, before or nothing)
