"""A pager for a long text on a terminal: $PAGER, else less."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

from codagent.cli.terminal.output import write
from codagent.redaction import hide_secrets

_LESS = "-FRX"  # less ends at once when all fits, lets colours through, and leaves the text on the screen


def show_paged(text: str) -> None:
    """Print a text, with its colours. On a terminal that is too short for it, it goes through the pager."""
    if not text.endswith("\n"):
        text += "\n"
    command = shlex.split(os.environ.get("PAGER", "less"))
    fits = text.count("\n") < shutil.get_terminal_size().lines
    if fits or not command or not (sys.stdin.isatty() and sys.stdout.isatty()) or not shutil.which(command[0]):
        write(text, sys.stdout)
        return
    environment = {"LESS": _LESS, **os.environ}
    subprocess.run(command, input=hide_secrets(text).encode("utf-8", "backslashreplace"), env=environment, check=False)
