"""The one way by which text gets to a terminal: without control sequences, and spelt where the terminal has no letter for it."""

from __future__ import annotations

import sys
from typing import TextIO

from codagent.text import sanitize


def say(text: object = "", *, end: str = "\n") -> None:
    """Print on standard output, which is for results. What controls a terminal is taken out."""
    write(sanitize(f"{text}") + end, sys.stdout)


def warn(text: object, *, end: str = "\n") -> None:
    """Print on standard error, which is for progress and errors. What controls a terminal is taken out."""
    write(sanitize(f"{text}") + end, sys.stderr)


def write(text: str, stream: TextIO) -> None:
    """Print text as it is, control sequences too: only for what codagent itself draws. Letters that the stream cannot show are spelt."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()
