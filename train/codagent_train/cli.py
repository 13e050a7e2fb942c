"""The `codagent-train` command."""

import sys


def main() -> None:
    """Says that there is no trainer yet, and exits with 2."""
    print("codagent-train: the trainer is not built yet; `codagent run` records what it will learn from", file=sys.stderr)
    sys.exit(2)
