"""Starts the command of the check, and writes a signed journal of what the tests' process tells.

It runs by itself: `python3 -I -S judge.py`. So neither the working directory, PYTHONPATH nor a site of the repository has a part in it, and
it imports nothing but the standard library. Whoever it starts knows neither the key of the journal nor what is judged.
"""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

_PR_SET_DUMPABLE = 4
_POLL_SECONDS = 0.05


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
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen(1)
    child = subprocess.Popen(["bash", "-c", plan["command"]])
    for line in _read_lines(child.pid, listener, json.dumps(plan["orders"]).encode() + b"\n"):
        journal(line)
    code = child.wait()
    return code if code >= 0 else 128 - code


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
