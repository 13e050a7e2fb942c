"""What a command tells a person while it is at work."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    print(f"codagent-train: {line}", file=sys.stderr)
