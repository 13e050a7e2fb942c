"""The only way to print. Control sequences are removed, characters that the terminal cannot show are escaped, and API keys are hidden.

An output that cannot be written, because nobody reads it or because its disk is full, breaks nothing.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from codagent.cli import signals
from codagent.errors import RecordError
from codagent.redaction import hide_secrets
from codagent.text import sanitize


class StandardStream(io.TextIOWrapper):
    """A standard output that hides secrets, whoever writes to it: a library, or Python with a traceback.

    After a failure, all that is written is dropped. When the reader of a pipe has gone, the command is ended as by a signal.
    """

    failure: OSError | None = None

    def write(self, text: str) -> int:
        with self._drop_on_failure():
            super().write(hide_secrets(text))
        return len(text)

    def flush(self) -> None:
        with self._drop_on_failure():
            super().flush()

    def write_bytes(self, data: bytes) -> None:
        """Write bytes as they are."""
        with self._drop_on_failure():
            super().flush()
            self.buffer.write(data)
            self.buffer.flush()

    @contextmanager
    def _drop_on_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())  # what is still in the buffer goes there, too
            os.close(nowhere)
            if isinstance(error, BrokenPipeError):
                signals.end_by_closed_pipe()


def open_streams() -> None:
    """Let both outputs of this process be a StandardStream."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if type(stream) is io.TextIOWrapper:  # else a test has put its own there
            how = stream.encoding, stream.errors, None, stream.line_buffering, stream.write_through
            made = StandardStream(stream.detach(), *how)
            setattr(sys, name, made)
            setattr(sys, f"__{name}__", made)  # nobody may use the detached one


def check_stdout() -> None:
    """Raise RecordError when a result could not be printed, but for a reader that has gone."""
    sys.stdout.flush()
    failure = getattr(sys.stdout, "failure", None)
    if failure and not isinstance(failure, BrokenPipeError):
        raise RecordError(f"standard output could not be written ({(failure.strerror or '').lower()})")


def say(text: object = "", *, end: str = "\n") -> None:
    """Print on standard output, which is for results. Control sequences are removed."""
    write(sanitize(f"{text}") + end, sys.stdout)


def say_bytes(data: bytes) -> None:
    """Print bytes on standard output as they are."""
    if isinstance(sys.stdout, StandardStream):
        sys.stdout.write_bytes(data)
    else:
        sys.stdout.buffer.write(data)


def warn(text: object, *, end: str = "\n") -> None:
    """Print on standard error, which is for progress and errors. Control sequences are removed."""
    write(sanitize(f"{text}") + end, sys.stderr)


def write(text: str, stream: TextIO) -> None:
    """Print text with its control sequences, for what codagent itself draws. Characters that the stream cannot show are escaped."""
    encoding = stream.encoding or "utf-8"
    text = hide_secrets(text)
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()
