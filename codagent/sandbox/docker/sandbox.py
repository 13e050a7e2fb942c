"""Commands in a container that has no network, no rights and no way back to this machine, through one long-lived shell.

Each claim made here is attacked in tests/docker. These things are not claimed:

- A hole in the kernel or in the engine is a way out.
- The agent can forge the output and the exit code of its own commands, because their programs run as the same user as the shell that
  reports them. So its work is judged in another container, where the engine reports how a check ended.
- The programs of a check run as the same user as the code that they judge. Malicious code can change them while they run, by ptrace or
  /proc/PID/mem, and so the way in which a check ends.
"""

from __future__ import annotations

import errno
import io
import os
import posixpath
import shlex
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any, BinaryIO, Self

from codagent.errors import SandboxError
from codagent.protocols import OnText, ignore_text
from codagent.sandbox.definition import WORKSPACE, Definition
from codagent.sandbox.docker.channel import Answer
from codagent.sandbox.docker.container import create
from codagent.sandbox.docker.engine import Stream, connect, translate_errors
from codagent.sandbox.docker.frames import ChannelClosed
from codagent.sandbox.docker.reaper import reap, remove
from codagent.sandbox.docker.shell import MAX_READ, Exec, Shell
from codagent.sandbox.output_watch import watch_output
from codagent.types import CommandResult

MAX_COMMAND = 100_000  # bytes; the kernel takes 128 KiB in one argument
# The script becomes the command by exec, so that no process waits for the command, which could change that process. The engine has put the
# exec into a session of its own already.
_CHECK_SCRIPT = 'exec </dev/null >>"$1" 2>&1 || exit 1; echo 1000 >/proc/self/oom_score_adj; exec nice -n 10 bash -c "$2"'
_NOT_STARTED = -1  # in place of an exit code
_NOTE_SHELL_KILLED = "\n[the sandbox's shell was killed, and all that ran with it; it was opened again]"
_NOTE_NOT_STARTED = "the engine could not start the check"
_NOTE_OUTPUT_CUT = "\n[the output was longer than the sandbox keeps]"


class DockerSandbox:
    """A GateSandbox in a container. `start` makes it.

    The container lives as long as the connection to its main process. When this process ends, however it ends, the engine removes the
    container. Only one thread at a time may use the sandbox, but any thread may close it or stop its command.
    """

    def __init__(self, client: Any, container: str, lifeline: Stream, definition: Definition, on_output: OnText = ignore_text) -> None:
        """Use a container that is running. `lifeline` is the connection to the standard input of its main process.

        `on_output` hears once a second, in another thread, the end of what the command of `run` has printed so far.
        """
        self._on_output = on_output
        self._client = client
        self._container = container
        self._lifeline = lifeline
        self._definition = definition
        self._commands = 0
        self._closed = self._attested = False
        self._shell = Shell(client, container, definition)

    @classmethod
    def start(cls, definition: Definition, *, loop: str, image: str | None = None, on_output: OnText = ignore_text) -> Self:
        """Start a container, and first remove those whose owner has died.

        `loop` is the loop's id, for the container's label. `image` is an id that ensure_image returned; None: the definition's image.
        Raises SandboxError when the engine does not answer, or the image is missing.
        """
        with translate_errors("starting the sandbox"), ExitStack() as undo:
            client = connect()
            undo.callback(client.close)
            reap(client)
            container = create(client, image or definition.image, definition, loop)
            undo.callback(remove, client, container)
            lifeline = Stream(client.attach_socket(container, params={"stdin": 1, "stream": 1}))
            undo.callback(lifeline.close)
            client.start(container)
            sandbox = cls(client, container, lifeline, definition, on_output)
            undo.pop_all()
            return sandbox

    def run(self, command: str, *, timeout: float) -> CommandResult:
        """Run a command by bash in the workspace.

        Past `timeout` seconds, everything that was started in the sandbox and still runs is killed, and the exit code is 124. When a
        command kills the sandbox's own shell, the exit code is 137. A command with a NUL byte is not run, and the exit code is 126.
        Raises SandboxError when the sandbox is closed or broken.
        """
        if "\0" in command:
            return CommandResult(126, "a command cannot hold a NUL byte", timed_out=False, seconds=0.0)
        log = self._next_log()
        started, timed_out, note = time.monotonic(), False, ""
        try:
            command = self._fit_argument(command)
            with watch_output(self._shell.peek(log), self._on_output):
                answer = self._shell.ask("run", log, command, timeout=timeout)
        except TimeoutError:
            timed_out, answer = True, self._read_log(log, 124)
        except ChannelClosed:
            note, answer = _NOTE_SHELL_KILLED, self._read_log(log, 137)
        except OSError as error:
            note, answer = f"the command is long and cannot be passed on: {error.strerror}", Answer(126, 0, b"")
        return self._build_result(answer, log, note, started, timed_out=timed_out)

    def run_attested(self, command: str, *, timeout: float) -> CommandResult:
        """Run a command as `run` does, but by an exec of its own. The exit code is what the engine reports.

        For the first command this is the spare shell, which is up already. Any later one gets a fresh exec, which costs some 50 ms, because
        the command before may have changed the processes that were there. Where it has left so many that the engine cannot start another
        one, they are killed first. The output comes through the long-lived shell, so a program of the sandbox can forge it. The exit code
        does not.
        """
        if "\0" in command or len(command.encode(errors="surrogateescape")) > MAX_COMMAND:
            return CommandResult(126, f"a check cannot hold a NUL byte, or more than {MAX_COMMAND:,} bytes", timed_out=False, seconds=0.0)
        log, note = self._next_log(), ""
        started = time.monotonic()
        script = shlex.join(["exec", "bash", "-c", _CHECK_SCRIPT, "check", log, command]).encode(errors="surrogateescape")
        try:
            with translate_errors("running a check in the sandbox"):
                shell, self._attested = self._shell.open_another() if self._attested else self._shell.take_spare(), True
                code = self._run_exec(shell, script, started + timeout)
                if code == _NOT_STARTED:
                    self._shell.reopen()
                    code = self._run_exec(self._shell.take_spare(), script, started + timeout)
        except KeyboardInterrupt:
            self._shell.reopen()
            raise
        if code is None:
            self._shell.reopen()
        if code == _NOT_STARTED:
            code, note = 126, _NOTE_NOT_STARTED
        answer = self._read_log(log, 124 if code is None else code)
        return self._build_result(answer, log, note, started, timed_out=code is None)

    def read(self, path: str) -> bytes:
        """Read a regular file of at most MAX_READ bytes. Raises the OSError that reading a local file would raise."""
        return self._transfer("get", path, str(MAX_READ)).data

    def write(self, path: str, data: bytes | BinaryIO) -> None:
        """Write a file, and make the folders above it. Raises the OSError that writing a local file would raise."""
        stream = io.BytesIO(data) if isinstance(data, bytes) else data
        self._transfer("put", path, str(stream.seek(0, io.SEEK_END)), stream)

    def kill_all(self) -> None:
        """Kill everything that commands have left running, and wait until it has ended.

        No new process is needed for that, so a fork bomb does not prevent it. Raises SandboxError when the sandbox is closed or broken.
        """
        self._shell.reopen(spare=False)

    def stop_command(self) -> None:
        """Kill the command that runs, and all else that runs in the sandbox; its exit code is 137. Any thread may call this."""
        self._shell.stop_command()

    def close(self) -> None:
        """Close the connections without waiting. The engine removes the container when its main process has read the end of its input."""
        if not self._closed:
            self._closed = True
            self._shell.close()
            self._lifeline.close()
            self._client.close()

    def _next_log(self) -> str:
        self._commands += 1
        return f"/output/{self._commands:06}.log"

    def _run_exec(self, shell: Exec, script: bytes, deadline: float) -> int | None:
        """Run a script in a shell and return the shell's exit code, as the engine reports it. None: it still ran at the deadline.

        _NOT_STARTED: the engine could not start the shell, as where every process is taken. The connection is held open because the engine
        ends an exec with its connection.
        """
        started = time.monotonic()
        with closing(shell.stream):
            shell.stream.settimeout(max(0.001, deadline - started))
            try:
                shell.stream.sendall(script + b"\n")
            except TimeoutError:
                return None
            except ConnectionError:  # the shell was not started
                pass
            while (state := self._client.exec_inspect(shell.id))["Running"] or state["ExitCode"] is None:
                now = time.monotonic()
                if now > deadline:
                    return None
                time.sleep(min(0.1, 0.005 + (now - started) / 10))
        return int(state["ExitCode"]) if state["Pid"] else _NOT_STARTED

    def _read_log(self, log: str, code: int) -> Answer:
        """Return the output of a command that has ended. `code` is its exit code, whatever the shell answers."""
        try:
            return replace(self._shell.ask("show", log, str(code)), code=code)
        except (TimeoutError, ChannelClosed):
            return Answer(code, 0, b"")

    def _transfer(self, verb: str, path: str, size: str, stream: BinaryIO | None = None) -> Answer:
        """Read or write a file, and try twice, because a program of the sandbox may have killed the shell since the last call."""
        if "\0" in path:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
        words = (verb, posixpath.join(WORKSPACE, path), size)
        try:
            answer = self._shell.ask(*words, stream=stream)
        except (TimeoutError, ChannelClosed):
            try:
                answer = self._shell.ask(*words, stream=stream)
            except (TimeoutError, ChannelClosed) as error:
                raise SandboxError(f"the sandbox does not let go of {path}; start another") from error
        if answer.code == errno.ENOSPC and verb == "put":
            self._shell.reopen()  # the shell has ended after this code
        if answer.code:
            raise OSError(answer.code, os.strerror(answer.code), path)
        return answer

    def _fit_argument(self, command: str) -> str:
        """Return a command that does the same and is short enough for an argument. A long command is written to a file first."""
        data = command.encode(errors="surrogateescape")
        if len(data) <= MAX_COMMAND:
            return command
        script = f"/output/{self._commands:06}.sh"
        self.write(script, data)
        return f"bash {script}"

    def _build_result(self, answer: Answer, log: str, note: str, started: float, *, timed_out: bool) -> CommandResult:
        if answer.size >= self._definition.output_mb * 1024 * 1024 - 4096:
            note += _NOTE_OUTPUT_CUT
        return CommandResult(
            exit_code=answer.code,
            output=answer.data.decode(errors="replace") + note,
            timed_out=timed_out,
            seconds=time.monotonic() - started,
            omitted_bytes=max(0, answer.size - len(answer.data)),
            log=log,
        )
