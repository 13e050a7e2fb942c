"""The only way to print. Control sequences are removed, characters that the terminal cannot show are escaped, and API keys are hidden."""

from __future__ import annotations

import sys
from typing import TextIO

from codagent.text import hide_secrets, strip_controls


def say(text: object = "", *, end: str = "\n") -> None:
    """Print on standard output, which is for results. Control sequences are removed."""
    write(strip_controls(f"{text}") + end, sys.stdout)


def warn(text: object, *, end: str = "\n") -> None:
    """Print on standard error, which is for progress and errors. Control sequences are removed."""
    write(strip_controls(f"{text}") + end, sys.stderr)


def write(text: str, stream: TextIO) -> None:
    """Print text with its control sequences, for what codagent itself draws. Characters that the stream cannot show are escaped."""
    encoding = stream.encoding or "utf-8"
    text = hide_secrets(text)
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()
