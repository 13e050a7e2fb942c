"""Commands that sleep. Each is known by its own number of seconds, whatever else sleeps on this machine and in its containers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path

from codagent.types import CommandResult


def unique_seconds() -> int:
    """Return for how long a command shall sleep: some decades, and a number that no other command has."""
    return 10**9 + secrets.randbelow(10**9)


def sleeps(seconds: int) -> bool:
    """Whether a process of this machine is the command `sleep SECONDS`."""
    return any(_read(file) == f"sleep\0{seconds}\0".encode() for file in (folder / "cmdline" for folder in Path("/proc").glob("[0-9]*")))


def wait_until_they_sleep(*all_seconds: int) -> None:
    """Wait until each of these commands runs: a shell goes on before what it has begun in the background runs."""
    deadline = time.monotonic() + 60
    while not all(map(sleeps, all_seconds)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_until_none_sleeps(*all_seconds: int) -> None:
    """Wait until none of these commands runs: one that was killed is there until the kernel has ended it."""
    deadline = time.monotonic() + 60
    while any(map(sleeps, all_seconds)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def run_past_its_limit(run: Callable[..., CommandResult], command: str) -> CommandResult:
    """Run a command that prints and then sleeps, with a limit of half a second, or a longer one where the machine is too slow to print."""
    for seconds in (0.5, 2.0, 8.0, 32.0):
        result = run(command, timeout=seconds)
        if result.output:
            break
    return result


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it has ended just now
        return b""
