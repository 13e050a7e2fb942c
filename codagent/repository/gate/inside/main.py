"""Runs pytest with the arguments of the check, in a child process, and writes a signed journal of what the child tells."""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import importlib.util
import json
import os
import select
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from .plugin import Gate
from .watch import Watch

_PR_SET_DUMPABLE = 4


def main() -> int:
    """Run pytest and return its exit code.

    The host leaves a plan in this file's folder. Everything there but the journal is deleted before the child may import a module of the
    workspace. The key of the journal is never in the memory of the child.
    """
    folder = Path(__file__).parents[1]
    workspace = os.getcwd()  # noqa: PTH109 - compared as text
    sys.path[:] = [path for path in sys.path if path != str(folder)]
    if str(pytest.__file__).startswith(workspace + os.sep):
        sys.exit("pytest was found in the workspace, where anyone may have put it")
    orders, ordered = os.pipe()
    events, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ordered)
        os.close(events)
        with open(orders, "rb") as given, open(told, "wb") as events_out:  # noqa: PTH123 - descriptors
            return _run_pytest(json.loads(given.read()), workspace, events_out)
    os.close(orders)
    os.close(told)
    plan = json.loads((folder / "plan.json").read_text())
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    _hide_memory()
    journal = _open_journal(folder / "journal", bytes.fromhex(plan.pop("key")))
    os.write(ordered, json.dumps(plan).encode())
    os.close(ordered)
    return _follow(child, events, journal)


def _run_pytest(plan: dict[str, Any], workspace: str, events: BinaryIO) -> int:
    def tell(kind: str, **facts: Any) -> None:
        events.write(json.dumps({"kind": kind, **facts}).encode() + b"\n")
        events.flush()

    watch = Watch(tell, workspace)
    watch.install()
    parallel = importlib.util.find_spec("xdist") and not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    arguments = [*sys.argv[1:], "--assert=rewrite", *(["-n0"] if parallel else [])]
    if plan["module"]:
        sys.path.insert(0, workspace)  # as `python -m` does
    code = int(pytest.main(arguments, plugins=[Gate(tell, watch)]))
    tell("finished", code=code)
    return code


def _follow(child: int, events: int, journal: Callable[[str], None]) -> int:
    """Write what the child tells into the journal until the child ends. Returns the exit code of the child.

    The end of the pipe is not waited for, because a process that the child left behind may hold it open.
    """
    for line in _read_lines(child, events):
        journal(line)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def _read_lines(child: int, events: int) -> Iterator[str]:
    rest, over = b"", False
    while not over:
        ready = select.select([events], [], [], 0.05)[0]
        # Without reaping it: its process id stays its own.
        over = not ready and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        data = os.read(events, 1 << 16) if ready else b""
        over = over or (bool(ready) and not data)
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
