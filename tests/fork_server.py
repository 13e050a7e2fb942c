"""Runs a command many times, each time in a process forked from one that has imported the command's modules: a call costs no imports.

The process has the call's own arguments, environment, folder, standard streams and exit code, as one that a shell starts. What the
interpreter or an imported module reads once, as PYTHONUTF8 or HF_HOME, it cannot change: a call that differs there starts the command anew.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

READ_ONCE = ("PYTHON", "LC_", "LANG", "LD_", "PATH", "GIT_PYTHON", "HF_", "TRANSFORMERS_", "TORCH", "OMP_", "CUDA_", "MPL")


class Call:
    """A call of the command that runs, to be waited for as subprocess.Popen is."""

    def __init__(self, connection: socket.socket, asked: Mapping[str, Any]) -> None:
        self.args = asked["words"]
        self.returncode: int | None = None
        self._connection, self._lines = connection, connection.makefile("rw")
        print(json.dumps(asked), file=self._lines, flush=True)
        self.pid = int(self._lines.readline())

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once the process has ended. Raises TimeoutExpired after `timeout` seconds; None: never."""
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self.returncode = int(self._lines.readline())
            self._lines.close()
            self._connection.close()
        return self.returncode


class ForkServer:
    """A process that has imported `modules`, and is forked for each call of `command`, a script of Python. It ends with the tests."""

    def __init__(self, command: Path, modules: Sequence[str]) -> None:
        self._command, self._environment = command, dict(os.environ)
        self._calls, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            arguments = [sys.executable, "-P", __file__, str(theirs.fileno()), *modules]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}  # Python remembers of a file that it can be gone back in
            self._process = subprocess.Popen(arguments, pass_fds=[theirs.fileno()], **pipes)
        atexit.register(self._close)

    def run(
        self, *arguments: object, cwd: Path, env: Mapping[str, str], stdin: str = "", timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end. Raises TimeoutExpired after `timeout` seconds, and has killed the process then."""
        words = [str(self._command), *map(str, arguments)]
        if self._read_once(env) != self._read_once(self._environment):
            return subprocess.run(words, cwd=cwd, env=env, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
        with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            given.write(stdin)
            given.seek(0)
            call = self.start(*arguments, cwd=cwd, env=env, streams=(given.fileno(), out.fileno(), err.fileno()))
            try:
                code = call.wait(timeout)
            except BaseException:
                os.killpg(call.pid, signal.SIGKILL)
                call.wait()
                raise
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(words, code, out.read(), err.read())

    def start(self, *arguments: object, cwd: Path, env: Mapping[str, str], streams: tuple[int, int, int]) -> Call:
        """Start the command in a session of its own. `streams` are the descriptors of its standard input, output and error."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._calls, [b"call"], [theirs.fileno(), *streams])
        return Call(ours, {"words": [str(self._command), *map(str, arguments)], "cwd": str(cwd), "env": dict(env)})

    def _read_once(self, environment: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in environment.items() if name.startswith(READ_ONCE)}

    def _close(self) -> None:
        self._calls.close()
        self._process.wait()


def serve(calls: socket.socket) -> None:
    """Fork for each call. Returns only in the process that is to run the command; the server exits when the tests have ended."""
    gc.freeze()  # a collection in a forked process does not touch, and so copy, what was imported
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes that wait for a command
    while True:
        message, descriptors, _, _ = socket.recv_fds(calls, 4, 4)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            break
        for descriptor in descriptors:
            os.close(descriptor)
    calls.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with socket.socket(fileno=descriptors[0]) as connection, connection.makefile("rw") as call:
        asked: dict[str, Any] = json.loads(call.readline())
        if pid := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=call, flush=True)
            os._exit(0)
        os.setsid()
        print(os.getpid(), file=call, flush=True)
    for number, descriptor in enumerate(descriptors[1:]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    sys.argv = asked["words"]


if __name__ == "__main__":
    descriptor, *names = sys.argv[1:]
    for name in names:
        importlib.import_module(name)
    serve(socket.socket(fileno=int(descriptor)))
    runpy.run_path(sys.argv[0], run_name="__main__")
