"""Starts the command of the check, and writes a signed journal of what the tests' process tells.

It runs by itself: `python3 -I -S judge.py`. So neither the working directory, PYTHONPATH nor a site of the repository has a part in it, and
it imports nothing but the standard library. Whoever it starts knows neither the key of the journal nor what is judged.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import hashlib
import hmac
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

_PR_SET_DUMPABLE = 4
_POLL_SECONDS = 0.05
_IN_OPEN, _IN_CLOSE = 0x20, 0x18
_EVENT_BYTES = 16


def main() -> int:
    """Run the command of the plan, and return its exit code.

    The host leaves the plan in the folder above this file's. It is deleted before the command starts. The process of the tests connects to
    the socket there, and is told the orders: the first process that connects, and no other one.
    """
    folder = Path(__file__).parents[1]
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").unlink()
    _hide_memory()
    journal = _open_journal(folder / "journal", bytes.fromhex(plan["key"]))
    opens = Opens(_list_tests(re.compile(plan["orders"]["tests"], re.IGNORECASE)))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen(1)
    child = subprocess.Popen(["bash", "-c", plan["command"]])
    for line in _read_lines(child.pid, listener, json.dumps(plan["orders"]).encode() + b"\n"):
        journal(line)
        opens.note(line)
    code = child.wait()
    for path, why in opens.find_foreign():
        journal(json.dumps({"kind": "suspicious", "id": path, "why": why}))
    return code if code >= 0 else 128 - code


class Opens:
    """Counts how often the files of the tests are opened, and finds those that another process than that of the tests has read.

    Linux tells of each opening. Elsewhere nothing is found.
    """

    def __init__(self, watched: Iterable[tuple[str, str]]) -> None:
        """Watch files, each with what it counts as."""
        self._names: dict[int, str] = {}
        self._told: dict[str, int] = {}
        if sys.platform == "linux":
            libc = ctypes.CDLL(None)
            self._queue = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            for path, name in watched:
                number = libc.inotify_add_watch(self._queue, os.fsencode(path), _IN_OPEN | _IN_CLOSE)
                self._names[number] = name

    def note(self, line: str) -> None:
        """Remember how often the process of the tests says that it has opened each file itself."""
        if '"opened"' in line:
            self._told = json.loads(line).get("times", self._told)

    def find_foreign(self) -> Iterator[tuple[str, str]]:
        """Yield each file that was opened more often than the process of the tests says, and what is suspicious about it."""
        times = collections.Counter(self._names.get(number, "") for number in self._read_queue())
        for name, count in times.items():
            if name and count > self._told.get(name, 0):
                yield name, "was read by a program that the tests started"

    def _read_queue(self) -> Iterator[int]:
        with contextlib.suppress(BlockingIOError, AttributeError):
            while data := os.read(self._queue, 1 << 16):
                while data:
                    number, mask, _, size = struct.unpack_from("iIII", data)
                    data = data[_EVENT_BYTES + size :]
                    if mask & _IN_OPEN:
                        yield number


def _list_tests(pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Yield the files of the working directory that have the tests, or their history."""
    yield from ((str(file), "the history") for file in Path(".git/objects/pack").glob("*.pack"))
    for folder, folders, files in os.walk("."):
        folders[:] = [name for name in folders if name not in (".git", "node_modules")]
        paths = (os.path.normpath(f"{folder}/{name}") for name in files if name.endswith(".py"))
        yield from ((path, path) for path in paths if pattern.search(path))


def _read_lines(child: int, listener: socket.socket, orders: bytes) -> Iterator[str]:
    """Yield what the process that connects tells, until it ends or `child` does.

    The end of the connection is not waited for, because a process that the tests left behind may hold it open.
    """
    waiting, rest, over = listener, b"", False
    while not over:
        ready = select.select([waiting], [], [], _POLL_SECONDS)[0]
        # Without reaping it: its process id stays its own.
        over = not ready and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        if ready and waiting is listener:
            waiting = listener.accept()[0]
            listener.close()
            waiting.sendall(orders)
        elif ready:
            data = waiting.recv(1 << 16)
            over = not data
            *lines, rest = (rest + data).split(b"\n")
            yield from (line.decode() for line in lines)


def _hide_memory() -> None:
    """Keep other processes of this user from reading or changing this one, where Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _open_journal(path: Path, key: bytes) -> Callable[[str], None]:
    """Return a function that writes lines. Each line is signed together with all lines before it.

    So a program without the key cannot forge, change or remove a line.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    last = b""

    def write(line: str) -> None:
        nonlocal last
        text = line.encode()
        last = hmac.new(key, last + text, hashlib.sha256).hexdigest().encode()
        os.write(descriptor, last + b" " + text + b"\n")

    return write


if __name__ == "__main__":
    raise SystemExit(main())
