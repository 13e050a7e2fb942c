"""Lines of progress on stderr, and tables on stdout."""

from __future__ import annotations

import sys

from codagent.text import strip_controls


def say(line: str) -> None:
    """Print a line on stderr, with the name of the command before it."""
    print(strip_controls(f"codagent-train: {line}"), file=sys.stderr)


def show_markdown(text: str) -> None:
    """Print Markdown on stdout: drawn on a terminal, as it is into a file or a pipe."""
    if not sys.stdout.isatty():
        print(text, flush=True)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text))
