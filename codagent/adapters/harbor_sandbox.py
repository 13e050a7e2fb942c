"""The environment of a harbor task as a Sandbox. It knows harbor's environment only by the methods that it calls."""

from __future__ import annotations

import asyncio
import errno
import os
import posixpath
import shlex
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Protocol, TypeVar

from codagent.errors import SandboxError
from codagent.files import temporary_folder
from codagent.sandbox.docker.channel import MAX_OUTPUT
from codagent.types import CommandResult

T = TypeVar("T")
_GRACE_SECONDS = 30  # that a call may take beyond the time limit of its command
_STILL_RUNNING = 124


class ExecResult(Protocol):
    stdout: str | None
    stderr: str | None
    return_code: int


class HarborEnvironment(Protocol):
    """What is used of harbor.environments.base.BaseEnvironment."""

    async def exec(self, command: str, *, cwd: str | None = None, timeout_sec: int | None = None) -> ExecResult: ...
    async def upload_file(self, source_path: Path | str, target_path: str) -> None: ...
    async def download_file(self, source_path: str, target_path: Path | str) -> None: ...


class HarborSandbox:
    """A Sandbox whose calls run in the event loop of harbor. Only other threads may call it.

    A command that leaves processes behind leaves them in the task's container; `kill_all` does not end them.
    """

    def __init__(self, environment: HarborEnvironment, loop: asyncio.AbstractEventLoop) -> None:
        """`loop` is the event loop in which harbor runs the agent."""
        self._environment, self._loop = environment, loop
        self._closed = False
        self._folder = self.run("pwd", timeout=30).output.strip() or "/"

    def run(self, command: str, *, timeout: float) -> CommandResult:
        """Run a command with bash in the working directory of the task. Past `timeout` seconds the exit code is 124."""
        if "\0" in command:
            return CommandResult(126, "a command cannot hold a NUL byte", timed_out=False, seconds=0.0)
        seconds = max(1, round(timeout))
        limited = f"exec 2>&1; timeout -k 1 {seconds} bash -c {shlex.quote(command)}"
        began = time.monotonic()
        try:
            result = self._wait(self._environment.exec(limited, timeout_sec=seconds + _GRACE_SECONDS), seconds + 2 * _GRACE_SECONDS)
        except (TimeoutError, RuntimeError) as error:  # harbor's own time limit
            if "timed out" not in str(error).lower() and not isinstance(error, TimeoutError):
                raise SandboxError(f"the environment of the task failed: {error}") from error
            return CommandResult(_STILL_RUNNING, str(error), timed_out=True, seconds=time.monotonic() - began)
        output = (result.stdout or "") + (result.stderr or "")
        omitted = max(0, len(output) - MAX_OUTPUT)
        if omitted:
            output = output[: MAX_OUTPUT // 2] + output[-MAX_OUTPUT // 2 :]
        took, code = time.monotonic() - began, result.return_code
        return CommandResult(code, output, code == _STILL_RUNNING and took >= seconds, took, omitted_bytes=omitted)

    def read(self, path: str) -> bytes:
        """Read a file. A relative path is one in the working directory."""
        place = posixpath.join(self._folder, path)
        found = self.run(f"[ -d {shlex.quote(place)} ] && exit 2; [ -f {shlex.quote(place)} ]", timeout=30).exit_code
        if found:
            number = errno.EISDIR if found == 2 else errno.ENOENT
            raise OSError(number, os.strerror(number), path)
        with temporary_folder() as folder:
            file = folder / "file"
            self._transfer(self._environment.download_file(place, file), path)
            return file.read_bytes()

    def write(self, path: str, data: bytes) -> None:
        """Write a file, and make the folders above it."""
        place = posixpath.join(self._folder, path)
        if self.run(f"mkdir -p {shlex.quote(posixpath.dirname(place))} && [ ! -d {shlex.quote(place)} ]", timeout=30).exit_code:
            raise OSError(errno.EISDIR, "its folder cannot be made, or it is a folder", path)
        with temporary_folder() as folder:
            file = folder / "file"
            file.write_bytes(data)
            self._transfer(self._environment.upload_file(file, place), path)

    def kill_all(self) -> None:
        """Do nothing: the container is harbor's, with processes of its own."""

    def stop_command(self) -> None:
        """Do nothing: harbor ends the whole agent, never one command."""

    def close(self) -> None:
        """Let no further call through. A call that waits raises SandboxError. Any thread may call this."""
        self._closed = True

    def _transfer(self, copying: Coroutine[Any, Any, None], path: str) -> None:
        try:
            self._wait(copying, 300.0)
        except (RuntimeError, FileNotFoundError) as error:
            raise OSError(errno.EIO, str(error), path) from error

    def _wait(self, call: Coroutine[Any, Any, T], seconds: float) -> T:
        """Run a call in harbor's event loop and wait for its result. Raises SandboxError after `close`."""
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        deadline = time.monotonic() + seconds
        while not self._closed:
            try:
                return future.result(0.2)
            except TimeoutError:
                if future.done() or time.monotonic() > deadline:
                    future.cancel()
                    raise
        future.cancel()
        raise SandboxError("harbor has ended the agent")
