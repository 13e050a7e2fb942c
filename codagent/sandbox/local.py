"""Commands on this machine, in a folder: for tests, and for a user who chooses this sandbox by name.

It does not isolate. A command can read and write what this user can, reach the network, use all memory and disk, and outlive its time
limit by starting a session of its own. When codagent ends, also when it is killed, what commands have left running is killed on Linux.
Only the environment is kept from it: keys in variables are not passed on.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from codagent.errors import SandboxError
from codagent.files import TemporaryFolder
from codagent.protocols import OnText, ignore_text
from codagent.sandbox.definition import ENVIRONMENT
from codagent.sandbox.docker.channel import MAX_OUTPUT
from codagent.sandbox.output_watch import END_BYTES, watch_output
from codagent.types import CommandResult

_MAX_COMMAND = 100_000  # bytes; the kernel takes 128 KiB in one argument
_KILL_SECONDS = 10.0  # that `kill_all` tries
# Waits for the end of its input, which is the end of codagent in any way; kills what has the HOME $1, and removes the folder $2.
_CLEAN_UP = """
cat > /dev/null
while files=$(grep -slzxF "HOME=$1" /proc/[0-9]*/environ); [ "$files" ]; do kill -9 $(cut -d/ -f3 <<< "$files") 2> /dev/null; done
rm -rf -- "$2"
"""


class LocalSandbox:
    """A GateSandbox that is a folder of this machine."""

    def __init__(self, directory: Path | None = None, *, on_output: OnText = ignore_text) -> None:
        """Work in `directory`. None: in a temporary folder, which `close` removes. `on_output` hears what a command has printed so far."""
        self._on_output = on_output
        self._folder = TemporaryFolder()
        self._own = self._folder.path
        self._output = self._own / "output"
        self._workspace = directory or self._own / "workspace"
        for path in (self._output, self._own / "home", self._workspace):
            path.mkdir(parents=True, exist_ok=True)
        path_variable = os.environ.get("PATH", os.defpath)
        self._environment = {**ENVIRONMENT, "PATH": path_variable, "HOME": str(self._own / "home"), "PWD": str(self._workspace)}
        clean_up = ("bash", "-c", _CLEAN_UP, "bash", self._environment["HOME"], str(self._own))
        self._cleaner = subprocess.Popen(clean_up, stdin=subprocess.PIPE, env={"PATH": path_variable}, start_new_session=True)
        self._commands = 0
        self._running: subprocess.Popen[bytes] | None = None

    def run(self, command: str, *, timeout: float) -> CommandResult:
        """Run a command by bash in the workspace.

        Past `timeout` seconds, all of the command's session is killed, and the exit code is 124. A command with a NUL byte is not run, and
        the exit code is 126. Raises SandboxError when the sandbox is closed, also by another thread while the command runs.
        """
        if not self._own.exists():
            raise SandboxError("the sandbox is closed; start another")
        if "\0" in command:
            return CommandResult(126, "a command cannot hold a NUL byte", timed_out=False, seconds=0.0)
        self._commands += 1
        log = self._output / f"{self._commands:06}.log"
        started, timed_out = time.monotonic(), False
        process = self._running = self._start(command, log)
        try:
            with watch_output(_look_at(log), self._on_output):
                code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code, timed_out = 124, True
        finally:
            _kill_session(process)
        if not log.exists():
            raise SandboxError("the sandbox was closed while a command ran; start another")
        output_bytes, omitted = _read_ends(log)
        return CommandResult(
            exit_code=code if code >= 0 else 128 - code,
            output=output_bytes.decode(errors="replace"),
            timed_out=timed_out,
            seconds=time.monotonic() - started,
            omitted_bytes=omitted,
            log=str(log),
        )

    def _start(self, command: str, log: Path) -> subprocess.Popen[bytes]:
        try:
            with log.open("wb") as output:
                return subprocess.Popen(
                    ["bash", *self._fit_arguments(command)],
                    cwd=self._workspace,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except FileNotFoundError:
            if self._workspace.exists() and self._output.exists():
                raise
            raise SandboxError("the sandbox was closed while a command began; start another") from None

    def run_attested(self, command: str, *, timeout: float) -> CommandResult:
        """Run a command as `run` does, whose exit code comes from the kernel already."""
        return self.run(command, timeout=timeout)

    def read(self, path: str) -> bytes:
        """Read a file. A relative path is one in the workspace."""
        return self._locate(path).read_bytes()

    def write(self, path: str, data: bytes | BinaryIO) -> None:
        """Write a file, and make the folders above it."""
        target = self._locate(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            shutil.copyfileobj(io.BytesIO(data) if isinstance(data, bytes) else data, file)

    def kill_all(self) -> None:
        """Kill what commands have left running, and wait until it has ended, for some seconds at most.

        A process is known by its HOME, which no other sandbox has. A process that has changed its HOME is not killed. Without /proc, as on
        macOS, none is killed.
        """
        deadline = time.monotonic() + _KILL_SECONDS
        while (pids := self._list_processes()) and time.monotonic() < deadline:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def stop_command(self) -> None:
        """Kill the command that runs, with its session. Any thread may call this."""
        if self._running:
            _kill_session(self._running)

    def close(self) -> None:
        """Remove the sandbox's own folder, and kill what commands have started. Any thread may call this."""
        self._folder.close()
        if self._running:
            _kill_session(self._running)
        self.kill_all()
        self._cleaner.kill()
        self._cleaner.communicate()

    def _locate(self, path: str) -> Path:
        """Return where a path of a command is on this machine. Raises OSError for a path that no file can have."""
        if "\0" in path:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
        return self._workspace / path

    def _fit_arguments(self, command: str) -> tuple[str, ...]:
        """Return arguments by which bash runs a command. A command that is too long for an argument is written to a file first."""
        data = os.fsencode(command)
        if len(data) <= _MAX_COMMAND:
            return "-c", command
        script = self._output / f"{self._commands:06}.sh"
        script.write_bytes(data)
        return (str(script),)

    def _list_processes(self) -> list[int]:
        """Return the ids of the processes that commands have started and that still run."""
        home = b"HOME=" + os.fsencode(self._environment["HOME"])
        pids = []
        for folder in Path("/proc").iterdir():
            with suppress(OSError, ValueError):  # a process of another user, or one that has just ended; or no process
                if home in (folder / "environ").read_bytes().split(b"\0"):
                    pids.append(int(folder.name))
        return pids


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill a command and what it has started in its own session, if the command still runs."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _look_at(log: Path) -> Generator[str]:
    """Yield the end of an output as it is each time."""
    while True:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, io.SEEK_END) - END_BYTES))
            yield file.read(END_BYTES).decode(errors="replace")


def _read_ends(log: Path) -> tuple[bytes, int]:
    """Return the two ends of an output, and how many bytes between them are left out."""
    with log.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if size <= MAX_OUTPUT:
            return file.read(MAX_OUTPUT), 0
        head = file.read(MAX_OUTPUT // 2)
        file.seek(size - MAX_OUTPUT // 2)
        return head + file.read(MAX_OUTPUT // 2), size - MAX_OUTPUT
