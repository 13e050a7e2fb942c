"""What a person types after `codagent` that is no command: nothing, a task, `help`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import typer
from typer.core import TyperGroup

from codagent.cli.command_table import CommandTable
from codagent.errors import UsageError

_OF_SESSION = ("--continue", "--resume")
_ASKS = {"help": "--help", "version": "--version"}


class StartGroup(TyperGroup):
    """The commands of codagent. Anything else is a task for `run`."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = CommandTable()  # type: ignore[assignment] # click never changes it

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Put the command in front of a task, and of the options of a task."""
        if ctx.resilient_parsing:  # a shell completes what is typed
            return super().parse_args(ctx, args)
        own = {option for parameter in self.params for option in (*parameter.opts, *parameter.secondary_opts)}
        return super().parse_args(ctx, complete_arguments(args, tuple(self.commands), own | {"-h", "--help"}))


def complete_arguments(args: Sequence[str], commands: Sequence[str], own: set[str]) -> list[str]:
    """Return the arguments with `run` in front, when they are those of a task. `own` are the options of codagent itself.

    Raises UsageError for a single word that is no command: it is more likely a slip than a task.
    """
    if not args:
        return ["run"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    first, *rest = args
    if first in commands or first.partition("=")[0] in own:
        return list(args)
    if first.partition("=")[0] in _OF_SESSION:
        return ["session", *args]
    if first in _ASKS:
        return [*rest[:1], _ASKS[first]] if first == "help" else [_ASKS[first]]
    if " " not in first and not first.startswith("-"):
        near = get_close_matches(first, (*commands, *_ASKS), n=1)
        if near or all(word.startswith("-") for word in rest):
            hint = f"did you mean `codagent {near[0]}`?" if near else "`codagent --help` lists the commands,"
            raise UsageError(f"there is no command {first!r}; {hint} `codagent run {first} …` takes words as a task")
    return ["run", *args]
