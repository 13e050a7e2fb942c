"""A plain session: type a task, watch it done, look at the diff, keep it or not, type the next."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory
from prompt_toolkit.shortcuts import confirm

from codagent.cli.terminal.output import say, write
from codagent.cli.terminal.paint import paint
from codagent.errors import CodagentError
from codagent.repository import git

Change = tuple[str, str]  # the commits before and after


def session(root: Path, do: Callable[[str], tuple[list[str], Change | None]], *, history: Path, color: bool) -> None:
    """Ask for tasks until end of file; `do` gives lines to tell and what was changed. An error or Ctrl-C ends a task, never the session."""
    history.parent.mkdir(parents=True, exist_ok=True)
    prompt: PromptSession[str] = PromptSession(history=FileHistory(str(history)))
    say("type a task; Ctrl-C stops it, Ctrl-D leaves")
    while True:
        try:
            task = prompt.prompt("task> ").strip()
            if task:
                _offer(root, *do(task), color=color)
        except EOFError:
            return
        except KeyboardInterrupt:
            continue
        except CodagentError as error:
            say(f"codagent: {error}")


def _offer(root: Path, lines: list[str], change: Change | None, *, color: bool) -> None:
    if change:
        write(paint(git.diff(root, *change), color=color) + "\n", sys.stdout)
    say("\n".join(lines))
    if change and confirm("put it on the working tree?"):
        conflicts = git.apply(root, *change)
        say(f"nothing was changed: {', '.join(conflicts)} changed here too" if conflicts else "applied")
