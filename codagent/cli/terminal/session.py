"""A session: type a task, see how it is done, look at the diff, accept it or not, type the next task."""

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
    """Ask for tasks until the end of the input. An error or Ctrl-C ends a task, but not the session.

    `do` carries out a task. It returns the lines to print, and the commits before and after; None means that nothing changed.
    """
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
