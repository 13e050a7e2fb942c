"""Reads what `run` and `loop` are given on the command line."""

from __future__ import annotations

import sys

from codagent.cli.terminal.output import warn
from codagent.errors import UsageError


def confirm(question: str) -> bool:
    """Ask a person a question, whose answer is yes when nothing is typed. Without a terminal, nobody is asked, and the answer is yes."""
    if not sys.stdin.isatty():
        return True
    warn(f"{question} [Y/n] ", end="")
    return sys.stdin.readline().strip().lower() not in ("n", "no")


def instruction_of(task: str | None) -> str | None:
    """Return the text of the task. Returns None when a session is wanted: no task, on a terminal. UsageError for an empty task."""
    if task is None and sys.stdin.isatty():
        return None
    text = sys.stdin.read() if task in (None, "-") else task
    if not text or not text.strip():
        raise UsageError("the task is empty; say what to do, as in 'mend the failing test'")
    return text.strip()
