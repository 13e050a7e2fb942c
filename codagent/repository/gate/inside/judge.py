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
from typing import Any

_PR_SET_DUMPABLE = 4
_POLL_SECONDS = 0.05
_IN_OPEN, _IN_CLOSE = 0x20, 0x18
_EVENT_BYTES = 16
_LONG_AGO = 1_000_000_000  # a time of the year 2001


def main() -> int:
    """Run the command of the plan, and return its exit code.

    The host leaves the plan in this file's folder. It is deleted before the command starts, and leaves there the files that it holds. The
    process of the tests connects to the socket there, and is told the orders.
    """
    folder = Path(__file__).parent
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    (folder / "plan.json").unlink()
    _hide_memory()
    _write_files(folder, plan["files"])
    journal = _open_journal(folder / "journal", bytes.fromhex(plan["key"]))
    tests = list(_list_tests(re.compile(plan["orders"]["tests"], re.IGNORECASE)))
    _settle_index(path for path, _ in tests)
    opens = Opens(tests)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen(1)
    child = subprocess.Popen(["bash", "-c", plan["command"]])
    sessions = Sessions(listener, json.dumps({**plan["orders"], "workspace": str(Path.cwd())}).encode() + b"\n", many=plan["many"])
    for event in sessions.read(child.pid):
        journal(json.dumps(event))
        opens.follow(event)
    code = child.wait()
    for path, why in opens.find_foreign():
        journal(json.dumps({"kind": "suspicious", "id": path, "why": why, "session": 0}))
    return code if code >= 0 else 128 - code


class Opens:
    """Counts how often the files of the tests are opened, and finds those that another process than that of the tests has read.

    What opens them before the first session of pytest or after the last one is another part of the check, as a linter. Linux tells of
    each opening. Elsewhere nothing is found.
    """

    def __init__(self, watched: Iterable[tuple[str, str]]) -> None:
        """Watch files, each with what it counts as."""
        self._names: dict[int, str] = {}
        self._told: collections.Counter[str] = collections.Counter()
        self._times: collections.Counter[str] = collections.Counter()
        self._began = False
        if sys.platform == "linux":
            libc = ctypes.CDLL(None)
            self._queue = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            for path, name in watched:
                number = libc.inotify_add_watch(self._queue, os.fsencode(path), _IN_OPEN | _IN_CLOSE)
                self._names[number] = name

    def follow(self, event: dict[str, Any]) -> None:
        """Take note of what a session tells: that it begins, how often it has opened each file itself, and that it ends."""
        times = event.get("times")
        if event["kind"] == "opened" and isinstance(times, dict) and all(isinstance(number, int) for number in times.values()):
            self._told.update(times)
        if event["kind"] == "finished" or (event["kind"] == "began" and not self._began):
            opened = [self._names.get(number, "") for number in self._read_queue()]
            self._times.update(opened if self._began else ())
            self._began = True

    def find_foreign(self) -> Iterator[tuple[str, str]]:
        """Yield each file that was opened more often than the process of the tests says, and what is suspicious about it."""
        for name, count in self._times.items():
            if name and count > self._told[name]:
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


def _settle_index(paths: Iterable[str]) -> None:
    """Make files old, and tell git: it reads those again that are as young as its index, when a plugin of pytest asks for a version."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.utime(path, (_LONG_AGO, _LONG_AGO), follow_symlinks=False)
    with contextlib.suppress(OSError):
        subprocess.run(["git", "update-index", "-q", "--refresh"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


class Sessions:
    """The sessions of pytest that the command starts. Each tells what happens on a connection of its own.

    A process that was started by tests gets no orders: it is the business of its test.
    """

    def __init__(self, listener: socket.socket, orders: bytes, *, many: bool) -> None:
        """`many`: further processes may connect after the first, each with tests of its own."""
        self._listener, self._orders, self._many = listener, orders, many
        self._lines: dict[socket.socket, bytes] = {}  # what came of an unfinished line
        self._numbers: dict[socket.socket, int] = {}
        self._pids: set[int] = set()
        self._open = True

    def read(self, child: int) -> Iterator[dict[str, Any]]:
        """Yield what is told, until `child` ends, or the only session.

        The end of a connection is not waited for, because a process that the tests left behind may hold it open.
        """
        while self._open or self._lines:
            ready = select.select([*([self._listener] if self._open else []), *self._lines], [], [], _POLL_SECONDS)[0]
            # Without reaping it: its process id stays its own.
            if not ready and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return
            for connection in ready:
                if connection is self._listener:
                    yield from self._accept()
                else:
                    yield from self._receive(connection)

    def _accept(self) -> Iterator[dict[str, Any]]:
        connection = self._listener.accept()[0]
        if not self._many:
            self._listener.close()
            self._open = False
        if self._pids & set(_list_ancestors(pid := _peer(connection))):
            connection.close()
            return
        self._pids.add(pid)
        self._lines[connection], self._numbers[connection] = b"", len(self._numbers)
        yield {"kind": "began", "session": self._numbers[connection]}
        connection.sendall(self._orders)

    def _receive(self, connection: socket.socket) -> Iterator[dict[str, Any]]:
        data = connection.recv(1 << 16)
        *lines, self._lines[connection] = (self._lines[connection] + data).split(b"\n")
        if not data:
            del self._lines[connection]
        for line in lines:
            event = {**_parse(line), "session": self._numbers[connection]}
            yield event
            if event["kind"] == "finished":  # the session waits for this, so nothing of what comes after it is taken for its own
                with contextlib.suppress(OSError):
                    connection.sendall(b"\n")


def _parse(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
        return {**event, "kind": str(event["kind"])}
    except (ValueError, TypeError, KeyError, RecursionError):
        return {"kind": "suspicious", "id": "the report", "why": "cannot be read"}


def _peer(connection: socket.socket) -> int:
    """Return the id of the process at the other end; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    return int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])


def _list_ancestors(pid: int) -> Iterator[int]:
    """Yield a process and those that it comes from."""
    while pid > 1:
        yield pid
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            return


def _write_files(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


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
