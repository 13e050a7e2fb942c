"""Runs the commands of an improvement, each as a process that ends with the one that began it."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from codagent_train.errors import PhaseFailed

_STOP_S = 120.0  # that a training gets to write its last checkpoint
_TELL_S = 60.0  # from one call of `tell` to the next
# A command is interrupted when its stdin is closed, so it ends with this process, even if that is killed. What a shell starts in the
# background ignores interrupts, so this is undone.
MAIN = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Thread(target=lambda: (sys.stdin.read(), os.kill(os.getpid(), signal.SIGINT)), daemon=True).start()
from {package}.cli import main
sys.argv[0] = {name!r}
main()
"""


def run_command(
    name: str,
    *arguments: str,
    folder: Path,
    codes: Sequence[int] = (0,),
    seconds: float = math.inf,
    tell: Callable[[], object] | None = None,
) -> None:
    """Run a command of codagent or of its trainer in a folder. `tell` is called every minute while it runs.

    `tell` None: the command itself says how far it is. Raises PhaseFailed when it fails, TimeoutError past `seconds`.
    """
    code = MAIN.format(name=name, package=name.replace("-", "_"))
    command, deadline = [sys.executable, "-P", "-c", code, *arguments], time.monotonic() + seconds
    child = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        while child.poll() is None:
            if (left := deadline - time.monotonic()) <= 0:
                raise TimeoutError
            with suppress(subprocess.TimeoutExpired):
                child.wait(min(_TELL_S, left))
                break
            if tell:
                tell()
    finally:
        _stop(child)
    if child.returncode not in codes:
        raise PhaseFailed(f"{name} {arguments[0]}", child.returncode)


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End a command that still runs, first as Ctrl-C does."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child.stdin:
        child.stdin.close()
