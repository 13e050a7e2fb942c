"""Lines of progress on stderr."""

from __future__ import annotations

import sys

from codagent.text import strip_controls


def say(line: str) -> None:
    """Print a line on stderr, with the name of the command before it."""
    print(strip_controls(f"codagent-train: {line}"), file=sys.stderr)
