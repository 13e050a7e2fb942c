"""What a command tells a person while it is at work."""

from __future__ import annotations

import sys

from codagent.text import sanitize


def say(line: str) -> None:
    print(sanitize(f"codagent-train: {line}"), file=sys.stderr)
