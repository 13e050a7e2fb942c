"""Commands in a container that has no network, no rights and no way back to this machine, through one long-lived shell.

Each claim made here is attacked in tests/docker. What is not claimed: a hole in the kernel or in the engine is a way out; and the agent can
forge the output of its own commands, whose programs run as the same user as the shell, so its work is judged in another container, where
the engine tells how a check ended.
"""

from __future__ import annotations

import errno
import io
import os
import posixpath
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, BinaryIO, Self

from codagent.errors import SandboxError
from codagent.sandbox.definition import WORKSPACE, Definition
from codagent.sandbox.docker.channel import MAX_OUTPUT, Answer, Channel
from codagent.sandbox.docker.container import create, pids_limit
from codagent.sandbox.docker.engine import Stream, connect, speaking
from codagent.sandbox.docker.frames import ChannelClosed
from codagent.sandbox.docker.reaper import reap, remove
from codagent.types import CommandResult

MAX_READ = 256 * 1024 * 1024  # bytes of one file
_MAX_COMMAND = 100_000  # bytes; the kernel takes 128 KiB in one argument
_PATIENCE = 60.0  # seconds for what is not a command
# Becomes the command: nothing of ours waits for it, which the command could change. An exec is in a session of its own already.
_ATTESTED = 'exec </dev/null >>"$1" 2>&1 || exit 1; echo 1000 >/proc/self/oom_score_adj; exec nice -n 10 bash -c "$2"'
_KILLED = "\n[the sandbox's shell was killed, and all that ran with it; it was opened again]"
_CUT = "\n[the output was longer than the sandbox keeps]"


class DockerSandbox:
    """Made by `start`. The container lives as long as the connection to its main process: when this process ends, however it ends,
    the engine removes it. One caller at a time."""

    def __init__(self, client: Any, container: str, lifeline: Stream, definition: Definition) -> None:
        self._client = client
        self._container = container
        self._lifeline = lifeline
        self._definition = definition
        self._commands = 0
        self._closed = False
        self._output_bytes = definition.output_mb * 1024 * 1024
        self._channel = Channel(self._shell(), output_bytes=self._output_bytes, alone=False)
        self._spare = self._shell()

    @classmethod
    def start(cls, definition: Definition, *, loop: str, image: str | None = None) -> Self:
        """`loop` is the id on the container's label; `image` is what ensure_image gave, else the definition's own."""
        client = connect()
        with speaking("starting the sandbox"):
            reap(client)
            container = create(client, image or definition.image, definition, loop)
            try:
                lifeline = Stream(client.attach_socket(container, params={"stdin": 1, "stream": 1}))
                client.start(container)
                return cls(client, container, lifeline, definition)
            except BaseException:
                remove(client, container)
                raise

    def run(self, command: str, *, timeout: float) -> CommandResult:
        """Past `timeout`, everything that was started here and still runs is killed, and the exit code is 124.
        A command that kills the sandbox's own shell is answered with 137."""
        if "\0" in command:
            return CommandResult(126, "a command cannot hold a NUL byte", timed_out=False, seconds=0.0)
        self._commands += 1
        log = f"/output/{self._commands:06}.log"
        started, timed_out, note = time.monotonic(), False, ""
        try:
            answer = self._ask("run", log, self._short(command), timeout=timeout)
        except TimeoutError:
            timed_out, answer = True, self._so_far(log, 124)
        except ChannelClosed:
            note, answer = _KILLED, self._so_far(log, 137)
        except OSError as error:
            note, answer = f"the command is long and cannot be passed on: {error.strerror}", Answer(126, 0, b"")
        return self._result(answer, log, note, started, timed_out=timed_out)

    def run_attested(self, command: str, *, timeout: float) -> CommandResult:
        """As `run`, but by an exec of its own, about 70 ms, whose exit code the engine tells. What it printed comes through the shell, in
        whose place a program of the sandbox may answer; the code does not."""
        if "\0" in command or len(command.encode(errors="surrogateescape")) > _MAX_COMMAND:
            return CommandResult(126, f"a check cannot hold a NUL byte, or more than {_MAX_COMMAND:,} bytes", timed_out=False, seconds=0.0)
        if self._closed:
            raise SandboxError("the sandbox is closed; start another")
        self._commands += 1
        log = f"/output/{self._commands:06}.log"
        started = time.monotonic()
        try:
            with speaking("running a check in the sandbox"):
                code = self._attested(["bash", "-c", _ATTESTED, "check", log, command], started + timeout)
        except KeyboardInterrupt:
            self._reopen()
            raise
        if code is None:
            self._reopen()
        answer = self._so_far(log, 124 if code is None else code)
        return self._result(answer, log, "", started, timed_out=code is None)

    def read(self, path: str) -> bytes:
        """A regular file of at most MAX_READ bytes; raises the OSError that reading a local file would."""
        return self._file("get", path, str(MAX_READ)).data

    def write(self, path: str, data: bytes | BinaryIO) -> None:
        """Makes the folders on the way; raises the OSError that writing a local file would."""
        stream = io.BytesIO(data) if isinstance(data, bytes) else data
        self._file("put", path, str(stream.seek(0, io.SEEK_END)), stream)

    def close(self) -> None:
        """Does not wait: the engine removes the container as soon as its main process reads the end of this connection."""
        if not self._closed:
            self._closed = True
            self._channel.close()
            self._spare.close()
            self._lifeline.close()
            self._client.close()

    def _attested(self, words: list[str], deadline: float) -> int | None:
        """The exit code of an exec, from the engine; None past the deadline. The engine would end the exec with the connection to it."""
        made, started = self._client.exec_create(self._container, words, user=self._definition.user), time.monotonic()
        with closing(Stream(self._client.exec_start(made["Id"], socket=True))):
            while (seen := self._client.exec_inspect(made["Id"]))["Running"] or seen["ExitCode"] is None:
                now = time.monotonic()
                if now > deadline:
                    return None
                time.sleep(min(0.1, 0.002 + (now - started) / 20))
        return int(seen["ExitCode"])

    def _so_far(self, log: str, code: int) -> Answer:
        """What a command that was ended has said; its code is known, whatever the answer says."""
        try:
            return replace(self._ask("show", log, str(code), timeout=_PATIENCE), code=code)
        except (TimeoutError, ChannelClosed):
            return Answer(code, 0, b"")

    def _file(self, verb: str, path: str, size: str, stream: BinaryIO | None = None) -> Answer:
        """A shell that something in the sandbox has killed since the last call is no reason to fail, once."""
        words = (verb, posixpath.join(WORKSPACE, path), size)
        try:
            answer = self._ask(*words, timeout=_PATIENCE, stream=stream)
        except (TimeoutError, ChannelClosed):
            try:
                answer = self._ask(*words, timeout=_PATIENCE, stream=stream)
            except (TimeoutError, ChannelClosed) as error:
                raise SandboxError(f"the sandbox does not let go of {path}; start another") from error
        if answer.code == errno.ENOSPC and verb == "put":
            self._reopen()
        if answer.code:
            raise OSError(answer.code, os.strerror(answer.code), path)
        return answer

    def _ask(self, *words: str, timeout: float, stream: BinaryIO | None = None) -> Answer:
        """Whatever goes wrong, the next caller finds a fresh shell and no process of the agent's."""
        if self._closed:
            raise SandboxError("the sandbox is closed; start another")
        try:
            limit = MAX_READ if words[0] == "get" else MAX_OUTPUT
            return self._channel.ask(*words, timeout=timeout, data=_chunks(stream) if stream else (), limit=limit)
        except (TimeoutError, ChannelClosed, KeyboardInterrupt):
            self._reopen()
            raise

    def _shell(self) -> Stream:
        """A shell by an exec of its own; it comes up while this goes on."""
        made = self._client.exec_create(self._container, ["bash", "--noprofile", "--norc"], stdin=True, user=self._definition.user)
        return Stream(self._client.exec_start(made["Id"], socket=True))

    def _reopen(self) -> None:
        """Ends everything of the agent's user, and goes on with a shell that comes after it."""
        self._channel.close()
        with speaking("the sandbox's container is gone, perhaps for want of memory"), closing(self._shells()) as shells:
            for shell, patience in shells:
                try:
                    self._channel = Channel(shell, output_bytes=self._output_bytes, alone=True)
                    self._channel.ask("hello", timeout=patience)
                except (TimeoutError, ChannelClosed):
                    shell.close()
                else:
                    break
            else:
                raise SandboxError("no shell can be opened in the sandbox: its image has no bash, or it is beyond repair; start another")
            self._spare = self._shell()

    def _shells(self) -> Generator[tuple[Stream, float]]:
        """The spare one, which a fork bomb cannot hinder. Where that was killed or stopped, others: as a bomb that used up the processes
        makes an exec fail, the limit is lifted as far as it takes, and set again when this generator is closed."""
        yield self._spare, 5.0
        yield self._shell(), _PATIENCE
        try:
            for factor in (4, 16):
                pids_limit(self._client, self._container, self._definition.pids * factor)
                yield self._shell(), _PATIENCE
        finally:
            pids_limit(self._client, self._container, self._definition.pids)

    def _short(self, command: str) -> str:
        """A command that is too long for an argument goes through a file."""
        data = command.encode(errors="surrogateescape")
        if len(data) <= _MAX_COMMAND:
            return command
        script = f"/output/{self._commands:06}.sh"
        self.write(script, data)
        return f"bash {script}"

    def _result(self, answer: Answer, log: str, note: str, started: float, *, timed_out: bool) -> CommandResult:
        omitted = answer.size - len(answer.data)
        if answer.size >= self._output_bytes - 4096:
            note += _CUT
        return CommandResult(
            exit_code=answer.code,
            output=answer.data.decode(errors="replace") + note,
            timed_out=timed_out,
            seconds=time.monotonic() - started,
            omitted_bytes=max(0, omitted),
            log=log,
        )


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while chunk := stream.read(1024 * 1024):
        yield chunk
