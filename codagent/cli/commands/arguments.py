"""What a person gives on the command line, as `run` and `loop` take it."""

from __future__ import annotations

import sys

from codagent.errors import UsageError


def instruction_of(task: str | None) -> str | None:
    """The task's text; None asks for a session, which only a terminal can have."""
    if task is None and sys.stdin.isatty():
        return None
    text = sys.stdin.read() if task in (None, "-") else task
    if not text or not text.strip():
        raise UsageError("the task is empty; say what to do, as in `codagent run 'mend the failing test'`")
    return text.strip()
