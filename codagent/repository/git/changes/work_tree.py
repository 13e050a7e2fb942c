"""The user's files as they are written: what stands in the way, and moves that are taken back when one fails."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from codagent.errors import RepositoryError
from codagent.files import make_folder
from codagent.repository.git.objects import move_file


@dataclass(frozen=True, slots=True)
class Changes:
    """The paths that are written, and the paths that are removed. A path that is replaced is in both."""

    written: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path of the change once, sorted."""
        return tuple(sorted({*self.written, *self.removed}))


@contextmanager
def staging_folder(root: Path) -> Iterator[Path]:
    """Make a folder on the disk of the user's files. It is removed at the end."""
    state = root / ".codagent"
    existed = os.path.lexists(state)
    make_folder(state)
    try:
        with tempfile.TemporaryDirectory(prefix="apply-", dir=state) as folder:
            yield Path(folder)
    finally:
        if not existed:
            state.rmdir()


def keep_mode(disk: Path, now: Path, new: Path) -> None:
    """Give `new` the permissions of the user's file. Only a change of whether it can be executed is made."""
    if not all(path.is_file() and not path.is_symlink() for path in (disk, now, new)):
        return
    before, after, mode = now.stat().st_mode & 0o100, new.stat().st_mode & 0o100, disk.stat().st_mode & 0o777
    if before != after:
        mode = mode | mode >> 2 & 0o111 if after else mode & ~0o111
    new.chmod(mode)


def is_file(path: Path) -> bool:
    """Whether a file or a link is there."""
    return path.is_symlink() or path.is_file()


def find_obstacles(root: Path, staged: Path, changes: Changes) -> tuple[str, ...]:
    """Return the paths where something exists that git does not know: an ignored file, or a link to another place."""
    going = set(changes.removed)
    behind = [path for path in changes.removed if is_behind_file(root, path, going)]
    blocked = [path for path in changes.written if is_behind_file(root, path, going) or _is_taken(root, staged, path, going)]
    return tuple(dict.fromkeys([*behind, *blocked]))


def is_behind_file(root: Path, path: str, going: set[str]) -> bool:
    """Whether a folder of the path is a file or a link. `going` are files that will be gone."""
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


def move_all(root: Path, staged: Path, changes: Changes) -> None:
    """Move the files to write from `staged / "new"`, and those that they replace to `staged / "old"`.

    Raises RepositoryError when a file cannot be written; all files are then as they were.
    """
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
