"""One process at a time in a loop's folder, by a lock of the kernel's that ends with its process."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import sys
import time
from pathlib import Path
from typing import IO, Self

from codagent.errors import RepositoryError, UsageError
from codagent.files import open_plain

_HOLDER = re.compile(rb"process \d{1,9}( \(codagent [a-z-]+\))?( on [\w.-]+)? since [\d: -]{19}\n")


class Lock:
    """A file that this process holds an exclusive flock on while `with` lasts; programs started meanwhile do not inherit it.

    The text in the file names the holder, for messages only. `took_over` names the process that died while it held the lock, None when
    none did. Entering raises UsageError when a living process holds the lock, and RepositoryError on a disk that has no flock. A process
    on another machine counts as the holder only on a disk that shares locks between machines, as NFS does.
    """

    def __init__(self, path: Path) -> None:
        self.took_over: str | None = None
        self._path = path

    def __enter__(self) -> Self:
        self._file = _take(self._path)
        try:
            left_behind = self._file.read(1_000)
            self.took_over = (_name(left_behind) or "a process that is not known") if left_behind else None
            self._file.truncate(0)
            self._file.write(_describe_this_process())
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with self._file:  # removed before it is closed: who opened it meanwhile sees that it is not the file at the path any more
            if _is_at(self._path, self._file):
                self._path.unlink()


def _take(path: Path) -> IO[bytes]:
    """Open the file at `path` and lock it. Raises as Lock does on entering."""
    while True:
        file = os.fdopen(open_plain(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "r+b", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, file):
                return file
        except BlockingIOError:
            holder = _name(file.read(1_000)) or "another process"
            file.close()
            raise UsageError(f"{path.parent.name} is being worked on by {holder}; wait for it, or stop it") from None
        except OSError as error:
            file.close()
            raise RepositoryError(f"{path} cannot be locked ({error.strerror}); keep loops and notes on a disk that has locks") from None
        file.close()  # its holder has removed it meanwhile


def _describe_this_process() -> bytes:
    command = re.sub("[^a-z-]", "", "".join(sys.argv[1:2]))[:20]
    words = [f"process {os.getpid()}", f"(codagent {command})" if command else "", f"on {socket.gethostname()}"]
    return f"{' '.join(filter(None, words))} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode(errors="replace")


def _name(text: bytes) -> str:
    """Return the holder's name as the file gives it, without this machine's; "" when the text is torn or not ours."""
    return text.decode().strip().replace(f" on {socket.gethostname()} since", " since") if _HOLDER.fullmatch(text) else ""


def _is_at(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False
