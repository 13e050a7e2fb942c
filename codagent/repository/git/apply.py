"""Applies a change to the user's files by a three-way merge: all of it, or nothing. The index is not touched.

What lies on the disk counts, and not what git believes of it: each file that the change concerns is read, whatever flags, times or ignore
rules hide it from git.
"""

from __future__ import annotations

import operator
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path, PurePath

from codagent.errors import RepositoryError
from codagent.files import make_folder
from codagent.repository.git.command import Git
from codagent.repository.git.objects import move_file
from codagent.repository.git.snapshot import IDENTITY, find_filtered, snapshot, split_paths


@dataclass(frozen=True, slots=True)
class _Changes:
    """The paths that are written, and the paths that are removed. A path that is replaced is in both."""

    written: tuple[str, ...]
    removed: tuple[str, ...]


def apply(root: Path, base: str, result: str) -> tuple[str, ...]:
    """Apply the change from `base` to `result` to the working tree as it is now.

    Returns the paths in conflict; if there are any, nothing was changed. Raises RepositoryError when a file cannot be written, and when the
    change concerns a file under a filter that is not run.
    """
    git = Git(root, work_tree=True)
    wanted = _changes(git, base, result)
    _refuse_filtered(git, wanted, result)
    now = _read_disk(git, snapshot(root).commit, wanted)
    merged, conflicts = _merge(git, base, now, result)
    if conflicts:
        return conflicts
    changes = _changes(git, now, merged)
    if not changes.written and not changes.removed:
        return ()
    with _stage(git, now, merged, changes) as staged:
        if in_the_way := _find_obstacles(root, staged, changes):
            return in_the_way
        for path in changes.written:
            versions = root / path, staged / "now" / path, staged / "new" / path
            _keep_line_ends(*versions)
            _keep_mode(*versions)
        _move_all(root, staged, changes)
    return ()


def _refuse_filtered(git: Git, wanted: _Changes, result: str) -> None:
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


def _read_disk(git: Git, now: str, wanted: _Changes) -> str:
    """Return the tree of `now` with the files of the change as they are on the disk.

    A file that the index is told not to look at differs from `now`, and so does an ignored file. A file that a sparse checkout does not
    show stays as it is in `now`.
    """
    known = set(split_paths(git("ls-tree", "-r", "-z", "--name-only", "--full-tree", now)))
    hidden = {path[2:] for path in split_paths(git("ls-files", "-t", "-z")) if path.startswith("S ")}
    paths = [path for path in dict.fromkeys((*wanted.written, *wanted.removed)) if path in known or path in wanted.written]
    behind = {path for path in paths if _is_behind_file(git.root, path, set())}
    files = [path for path in paths if path not in behind and _is_file(git.root / path)]
    gone = [path for path in paths if path in known and path not in hidden and path not in files]
    with tempfile.TemporaryDirectory(prefix="codagent-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        git("read-tree", now, env=env)
        git("update-index", "-z", "--force-remove", "--stdin", stdin=_join_paths(gone), env=env)
        git("update-index", "-z", "--add", "--replace", "--stdin", stdin=_join_paths(files), env=env)
        return git.line("write-tree", "--missing-ok", env=env)


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
def _stage(git: Git, now: str, merged: str, changes: _Changes) -> Iterator[Path]:
    """Make a folder on the same disk.

    Its subfolder `new` has the files to write as git checks them out: modes, links, line ends. The subfolder `now` has the files that they
    replace, checked out in the same way.
    """
    state = git.root / ".codagent"
    existed = os.path.lexists(state)
    make_folder(state)
    try:
        with tempfile.TemporaryDirectory(prefix="apply-", dir=state) as folder:
            staged = Path(folder)
            replaced = sorted({*changes.written} & {*changes.removed})
            for name, tree, paths in (("now", now, replaced), ("new", merged, changes.written)):
                env = {"GIT_INDEX_FILE": str(staged / f"index-{name}")}
                git("read-tree", tree, env=env)
                prefix = f"--prefix=.codagent/{staged.name}/{name}/"
                git("checkout-index", "-z", "--stdin", "--ignore-skip-worktree-bits", prefix, stdin=_join_paths(paths), env=env)
            yield staged
    finally:
        if not existed:
            state.rmdir()


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


def _keep_mode(disk: Path, now: Path, new: Path) -> None:
    """Give `new` the permissions of the user's file. Only a change of whether it can be executed is made."""
    if not all(path.is_file() and not path.is_symlink() for path in (disk, now, new)):
        return
    before, after, mode = now.stat().st_mode & 0o100, new.stat().st_mode & 0o100, disk.stat().st_mode & 0o777
    if before != after:
        mode = mode | mode >> 2 & 0o111 if after else mode & ~0o111
    new.chmod(mode)


def _join_paths(paths: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def _is_file(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


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
