"""Lines of progress on stderr."""

from __future__ import annotations

import sys

from codagent.text import sanitize


def say(line: str) -> None:
    """Print a line on stderr, with the name of the command before it."""
    print(sanitize(f"codagent-train: {line}"), file=sys.stderr)
