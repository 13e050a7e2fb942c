"""One process at a time in a loop's folder; one that died holds nothing."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import IO, Literal, Self

from codagent.errors import UsageError
from codagent.files import open_plain


class Lock:
    """A file that names its holder, there while `with` lasts. UsageError when a living process holds it, or one of another machine.

    `took_over` tells which process died as the holder, None when none did.
    """

    def __init__(self, path: Path) -> None:
        self.took_over: str | None = None
        self._path = path
        self._mine = ""

    def __enter__(self) -> Self:
        with _claimed(self._path, "a+") as file:
            said = file.read(10_000)
            holder = _holder(said)
            if holder and holder.lives():
                raise UsageError(
                    f"loop {self._path.parent.name} is being worked on by {holder}; wait for it, or stop it{self._doubt(holder)}"
                )
            self.took_over = str(holder or "a process that is not known") if said else None
            self._mine = "".join(f"{line}\n" for line in astuple(_this_process()))
            file.truncate(0)
            file.write(self._mine)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(FileNotFoundError), _claimed(self._path, "r+") as file:
            if file.read() == self._mine:
                self._path.unlink()

    def _doubt(self, holder: _Holder) -> str:
        return "" if holder.is_here() else f"; if it is gone, which cannot be seen from here, remove {self._path}"


def process_start(pid: int) -> str:
    """When a process of this machine started, as a text to compare; empty when there is none. A pid alone is used again."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state in "ZX" else rest[18]  # dead, and only not yet waited for
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
    except ProcessLookupError:
        return ""
    return subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()


@dataclass(frozen=True, slots=True)
class _Holder:
    """A line of the file for each field."""

    pid: int
    start: str
    host: str
    command: str
    since: str

    def __str__(self) -> str:
        command = f" (codagent {self.command})" if self.command else ""
        return f"process {self.pid}{command}{'' if self.is_here() else f' on {self.host}'} since {self.since}"

    def is_here(self) -> bool:
        return self.host == socket.gethostname()

    def lives(self) -> bool:
        """Of a process on another machine nobody here can tell that it does not."""
        return not self.is_here() or process_start(self.pid) == self.start


def _this_process() -> _Holder:
    pid = os.getpid()
    command = re.sub("[^a-z-]", "", "".join(sys.argv[1:2]))[:20]
    return _Holder(pid, process_start(pid), socket.gethostname(), command, time.strftime("%Y-%m-%d %H:%M:%S"))


def _holder(said: str) -> _Holder | None:
    """None for a file that was not written to its end, or not by us."""
    lines = said.split("\n")
    whole = len(lines) == len(fields(_Holder)) + 1 and all(map(str.isprintable, lines))
    return _Holder(int(lines[0]), *lines[1:-1]) if whole and re.fullmatch("[0-9]{1,9}", lines[0]) and lines[1] else None


@contextmanager
def _claimed(path: Path, mode: Literal["a+", "r+"]) -> Iterator[IO[str]]:
    """The file, for a moment nobody else's: the kernel's lock, which ends with the process, guards it while it is read and changed.

    Whoever waited for a file that was removed meanwhile tries again.
    """
    while True:
        create = os.O_CREAT | os.O_APPEND if mode == "a+" else 0
        with os.fdopen(open_plain(path, os.O_RDWR | create), mode, encoding="utf-8", errors="replace") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(path, file):
                file.seek(0)
                yield file
                return


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
