"""Files and folders of codagent's own, in places where somebody else may have put a link, a device, or a file without end.

Only regular files are opened, no link is followed, and no file is read beyond a limit of size.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from codagent.errors import RepositoryError

MAX_TEXT_BYTES = 4 << 20  # settings and notes
MAX_RECORD_BYTES = 4 << 30

_TEMPORARY = "codagent-tmp-"  # how the names of temporary folders begin


def read_plain(path: Path, *, max_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """Read a whole file.

    Raises FileNotFoundError when there is none, RepositoryError when it is no plain file or larger than `max_bytes`.
    """
    with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise RepositoryError(f"{path} is larger than {max_bytes >> 20} MB; move it away")
    return data


def open_plain(path: Path, flags: int, mode: int = 0o644) -> int:
    """Open a file as os.open does, and return its descriptor. Raises RepositoryError for a link, a device, a pipe and a folder."""
    try:
        # without O_NONBLOCK, opening a pipe that nobody writes to would never end
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, mode)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR, errno.ENOTDIR):
            raise RepositoryError(_refusal(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RepositoryError(_refusal(path))
    return descriptor


def write_whole(path: Path, data: bytes, *, executable: bool = False) -> None:
    """Write a file. After an error or a crash, what was there is as it was.

    A file that is replaced keeps its permissions to read and write. `executable` decides about execution.
    """
    descriptor, beside = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        allowed = path.stat().st_mode & 0o666 if path.exists() else 0o666 & ~_read_umask()
        execution = (allowed & 0o444) >> 2 if executable else 0
        Path(beside).chmod(allowed | execution)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless it exists. Raises RepositoryError when a link, a file or another user's folder is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir()
        return
    except FileExistsError:
        check_folder(path)


def check_folder(path: Path) -> None:
    """Raise RepositoryError when a link, a file or another user's folder is at `path`. Nothing at all may be there."""
    try:
        status = path.lstat()
    except OSError:
        return
    if not stat.S_ISDIR(status.st_mode) or not _is_ours(status, path):
        raise RepositoryError(_refusal(path))


def is_plain(path: Path) -> bool:
    """Return whether `path` is a regular file, and no link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def is_plain_folder(path: Path) -> bool:
    """Return whether `path` is a folder, and no link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


class TemporaryFolder:
    """A folder for temporary files, gone after `close`. This process holds a lock on it for so long.

    Folders whose process was killed are removed when the next one is made, by whichever process makes it.
    """

    def __init__(self) -> None:
        remove_left_behind()
        self.path, lock = _make_locked()
        self._locks = [] if lock is None else [lock]

    def close(self) -> None:
        """Remove the folder with all that is in it, as far as it can be removed. Any thread may call this, and more than once."""
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(IndexError):  # another thread closes it, or has closed it
            os.close(self._locks.pop())


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder for temporary files, which is removed at the end of the `with` block."""
    folder = TemporaryFolder()
    try:
        yield folder.path
    finally:
        folder.close()


def remove_left_behind() -> None:
    """Remove the temporary folders of processes that were killed. Those of other users and those that are in use stay."""
    for path in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}????????"):
        with suppress(OSError):
            status = path.lstat()
            if stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o700 and status.st_uid == os.geteuid():
                lock = _lock(path)
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def _make_locked() -> tuple[Path, int | None]:
    """Make a temporary folder and lock it. Without a lock, where the file system has none; then nobody removes it."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=_TEMPORARY))
        try:
            lock = _lock(path)
        except (FileNotFoundError, BlockingIOError):
            continue  # another process takes it for one that was left behind, and removes it
        except OSError:
            return path, None
        if path.exists():
            return path, lock
        os.close(lock)


def _lock(folder: Path) -> int:
    """Lock a folder, and return the descriptor that holds the lock. Raises OSError if it is locked already, or if there are no locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _is_ours(status: os.stat_result, path: Path) -> bool:
    """Return whether this user owns the folder. For root, the owner of the folder above will do: root may work in the repository of
    another user, after it has told git that the repository is safe."""
    return status.st_uid == os.geteuid() or (os.geteuid() == 0 and status.st_uid == path.parent.stat().st_uid)


def _read_umask() -> int:
    """Return the permissions that new files do not get. Linux tells them; elsewhere they are set to be read."""
    with suppress(OSError, StopIteration):
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Umask:"))
        return int(line.split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _refusal(path: Path) -> str:
    return f"{path} is not a plain file or folder of yours, and is not followed; look at it and remove it"
