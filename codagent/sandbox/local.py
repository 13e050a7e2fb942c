"""Commands on this machine, in a folder: for tests, and for whoever asks for it by name.

It does not isolate. A command can read and write what this user can, reach the network, use all memory and disk, and outlive its time
limit by starting a session of its own. Only the environment is kept from it: keys in variables are not passed on.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from codagent.errors import SandboxError
from codagent.sandbox.definition import ENVIRONMENT
from codagent.sandbox.docker.channel import MAX_OUTPUT
from codagent.types import CommandResult


class LocalSandbox:
    """Works in `directory`, or in a temporary one that goes with it."""

    def __init__(self, directory: Path | None = None) -> None:
        self._own = Path(tempfile.mkdtemp(prefix="codagent-"))
        self._output = self._own / "output"
        self._workspace = directory or self._own / "workspace"
        for path in (self._output, self._own / "home", self._workspace):
            path.mkdir(parents=True, exist_ok=True)
        path_variable = os.environ.get("PATH", os.defpath)
        self._environment = {**ENVIRONMENT, "PATH": path_variable, "HOME": str(self._own / "home"), "PWD": str(self._workspace)}
        self._commands = 0
        self._running: subprocess.Popen[bytes] | None = None

    def run(self, command: str, *, timeout: float) -> CommandResult:
        if not self._own.exists():
            raise SandboxError("the sandbox is closed; start another")
        if "\0" in command:
            return CommandResult(126, "a command cannot hold a NUL byte", timed_out=False, seconds=0.0)
        self._commands += 1
        log = self._output / f"{self._commands:06}.log"
        started, timed_out = time.monotonic(), False
        with log.open("wb") as output:
            process = self._running = subprocess.Popen(
                ["bash", "-c", command],
                cwd=self._workspace,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code, timed_out = 124, True
        finally:
            _end(process)
        if not log.exists():
            raise SandboxError("the sandbox was closed while a command ran; start another")
        output_bytes, omitted = _ends(log)
        return CommandResult(
            exit_code=code if code >= 0 else 128 - code,
            output=output_bytes.decode(errors="replace"),
            timed_out=timed_out,
            seconds=time.monotonic() - started,
            omitted_bytes=omitted,
            log=str(log),
        )

    def run_attested(self, command: str, *, timeout: float) -> CommandResult:
        """The same as `run`: the exit code is the kernel's word."""
        return self.run(command, timeout=timeout)

    def read(self, path: str) -> bytes:
        return (self._workspace / path).read_bytes()

    def write(self, path: str, data: bytes | BinaryIO) -> None:
        """Makes the folders on the way."""
        target = self._workspace / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            shutil.copyfileobj(io.BytesIO(data) if isinstance(data, bytes) else data, file)

    def close(self) -> None:
        """From another thread too, which ends the command that runs."""
        shutil.rmtree(self._own, ignore_errors=True)
        if self._running:
            _end(self._running)


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all of its session."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ends(log: Path) -> tuple[bytes, int]:
    """The two ends of a long output, and how many bytes between them are left out."""
    with log.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if size <= MAX_OUTPUT:
            return file.read(MAX_OUTPUT), 0
        head = file.read(MAX_OUTPUT // 2)
        file.seek(size - MAX_OUTPUT // 2)
        return head + file.read(MAX_OUTPUT // 2), size - MAX_OUTPUT
