"""The shell in a container that runs the agent's commands, and a second one in reserve.

Both run as the agent's user, so the agent can kill and stop them, and read their memory. Whatever it does to them, the next call finds a
shell that works, or there is a SandboxError.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, BinaryIO

from codagent.errors import SandboxError
from codagent.sandbox.definition import Definition
from codagent.sandbox.docker.channel import MAX_OUTPUT, Answer, Channel
from codagent.sandbox.docker.container import set_pids_limit
from codagent.sandbox.docker.engine import Stream, translate_errors
from codagent.sandbox.docker.frames import ChannelClosed
from codagent.sandbox.output_watch import END_BYTES

MAX_READ = 256 * 1024 * 1024  # bytes of one file
_PATIENCE = 60.0  # seconds for anything that is not a command
_SPARE_PATIENCE = 5.0  # seconds for the spare shell, which is up already and answers at once if it answers at all
_DYING_SECONDS = 10.0  # that killed processes get to end


@dataclass(frozen=True, slots=True)
class Exec:
    """A shell that reads its commands from the connection."""

    id: str  # for the engine
    stream: Stream


class Shell:
    """The agent's shell. The container must be running."""

    def __init__(self, client: Any, container: str, definition: Definition) -> None:
        self._client, self._container, self._definition = client, container, definition
        self._closed = self._spare_waits = False
        self._lock, self._busy, self._stopped = threading.Lock(), False, False  # whether a command runs, and whether it was stopped
        self._channel = self._open_channel(self._open().stream, kill_others=False)
        self._spare: Exec | None = self._open()

    def ask(self, *words: str, timeout: float | None = None, stream: BinaryIO | None = None) -> Answer:
        """Call a function of channel.sh, send it the whole `stream`, and return its answer.

        `timeout` None: the time for a function that runs no command. Raises TimeoutError past the timeout, ChannelClosed when the shell has
        ended or its answer is invalid, and SandboxError as `reopen` does. After any of them, every process of the agent's has been killed.
        """
        self.check_open()
        if self._stopped:  # a command that had just ended
            self.reopen()
        if words[0] == "run":
            self._prepare_for_command()
        seconds = _PATIENCE if timeout is None else timeout
        limit = MAX_READ if words[0] == "get" else MAX_OUTPUT
        self._set_busy(words[0] == "run")
        try:
            return self._channel.ask(*words, timeout=seconds, data=_read_chunks(stream) if stream else (), limit=limit)
        except (TimeoutError, ChannelClosed, KeyboardInterrupt):
            self.reopen()
            raise
        finally:
            self._set_busy(False)

    def stop_command(self) -> None:
        """Let the command that runs end as if its shell had been killed. From any thread."""
        with self._lock:
            if self._busy:
                self._stopped = True
                self._channel.close()

    def reopen(self, *, spare: bool = True) -> None:
        """Kill every process of the agent's user, wait until they have ended, and go on with a fresh shell.

        Without `spare`, there is no spare shell until a second command is run. A sandbox that is closed before does not pay for one. Raises
        SandboxError when the sandbox is closed, its container has ended, or no shell can be opened in it.
        """
        self.check_open()
        self._set_busy(False)
        self._stopped = False
        self._channel.close()
        with translate_errors("the sandbox's container is gone, perhaps for want of memory"), closing(self._open_candidates()) as shells:
            for shell, patience in shells:
                try:
                    self._channel = self._take_over(shell, patience)
                    break
                except (TimeoutError, ChannelClosed):
                    shell.close()
            else:
                raise SandboxError("no shell can be opened in the sandbox: its image has no bash, or it is beyond repair; start another")
            self._spare, self._spare_waits = (self._open(), False) if spare else (None, True)

    def take_spare(self) -> Exec:
        """Give the spare shell away, or a fresh one when there is none. There is no spare shell until a second command is run."""
        self.check_open()
        taken, self._spare, self._spare_waits = self._spare or self._open(), None, True
        return taken

    def open_another(self) -> Exec:
        """Open a fresh shell, to give it away."""
        self.check_open()
        return self._open()

    def peek(self, log: str) -> Generator[str]:
        """Yield the end of an output as it is each time, by a shell of its own. For a thread of its own.

        Raises SandboxError, TimeoutError and ChannelClosed, after which the commands of the sandbox go on as before.
        """
        with translate_errors("looking at the output"), closing(self.open_another().stream) as stream:
            channel = self._open_channel(stream, kill_others=False)
            while True:
                yield channel.ask("peek", log, str(END_BYTES), timeout=_SPARE_PATIENCE, limit=END_BYTES).data.decode(errors="replace")

    def check_open(self) -> None:
        """Raise SandboxError when the sandbox was closed."""
        if self._closed:
            raise SandboxError("the sandbox is closed; start another")

    def close(self) -> None:
        self._closed = True
        self._channel.close()
        if self._spare:
            self._spare.stream.close()

    def _set_busy(self, busy: bool) -> None:
        with self._lock:
            self._busy = busy

    def _prepare_for_command(self) -> None:
        if self._spare is None and not self._spare_waits:
            self._spare = self._open()
        self._spare_waits = False

    def _take_over(self, shell: Stream, patience: float) -> Channel:
        """Kill every other process of the agent's user by this shell, and wait until they have ended, because they count until then.

        Raises TimeoutError when the shell does not answer within `patience` seconds, and ChannelClosed when it has ended.
        """
        channel = self._open_channel(shell, kill_others=True)
        deadline = time.monotonic() + _DYING_SECONDS
        while channel.ask("count_others", timeout=patience).size and time.monotonic() < deadline:
            time.sleep(0.002)
        return channel

    def _open_channel(self, shell: Stream, *, kill_others: bool) -> Channel:
        return Channel(shell, output_bytes=self._definition.output_mb * 1024 * 1024, kill_others=kill_others)

    def _open(self) -> Exec:
        """Start a shell by an exec of its own, without waiting for it."""
        shell = self._client.exec_create(self._container, ["bash", "--noprofile", "--norc"], stdin=True, user=self._definition.user)
        return Exec(shell["Id"], Stream(self._client.exec_start(shell["Id"], socket=True)))

    def _open_candidates(self) -> Generator[tuple[Stream, float]]:
        """Yield shells to go on with, each with the seconds that it gets to answer.

        The spare one is first, because it is up already, whatever a fork bomb does. If the agent has killed or stopped it, others are
        started. When a fork bomb has used up the processes, the engine can start none, so the limit of processes is raised step by step. It
        is set back when this generator is closed.
        """
        if self._spare:
            yield self._spare.stream, _SPARE_PATIENCE
        yield self._open().stream, _PATIENCE
        try:
            for factor in (4, 16):
                set_pids_limit(self._client, self._container, self._definition.pids * factor)
                yield self._open().stream, _PATIENCE
        finally:
            set_pids_limit(self._client, self._container, self._definition.pids)


def _read_chunks(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while chunk := stream.read(1024 * 1024):
        yield chunk
