"""The commands by their names, and what a person types after `codagent` that is no command: nothing, a task, `help`.

The code of a command is imported when it is used, so that each starts as fast as its own code allows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from codagent.errors import UsageError

_OF_SESSION = ("--continue", "--resume")
_ASKS = {"help": "--help", "version": "--version"}


@dataclass(frozen=True, slots=True)
class _Entry:
    module: str  # below codagent.cli
    example: str  # for the end of its help; "": a group, which has its own
    name: str = ""  # of the function or the group in the module; "": that of the command
    kind: str = ""  # the name of the command's own class in the module; "": typer's


_ENTRIES = {
    "init": _Entry("commands.init", "codagent init"),
    "run": _Entry("commands.run", "codagent run 'fix the failing test' --check 'pytest -q'"),
    "session": _Entry("commands.session", "codagent session --continue"),
    "acp": _Entry("acp.serve", "codagent acp --model openai/gpt-5"),
    "loop": _Entry("commands.loops.loop", "codagent loop 'fix the failing test' --check 'pytest -q'"),
    "branch": _Entry("commands.loops.loop", "codagent branch 0301-1530 --at 2"),
    "bench": _Entry("commands.loops.bench", "codagent bench instances.jsonl --repos clones --jobs 4"),
    "show": _Entry("commands.records.show", "codagent show"),
    "diff": _Entry("commands.records.show", "codagent diff 0301-1530"),
    "apply": _Entry("commands.records.accept", "codagent apply -- src/parser.py", kind="ApplyCommand"),
    "undo": _Entry("commands.records.accept", "codagent undo"),
    "replay": _Entry("commands.records.replay", "codagent replay"),
    "list": _Entry("commands.records.listing", "codagent list", name="list_"),
    "clean": _Entry("commands.records.listing", "codagent clean --all"),
    "doctor": _Entry("commands.machine", "codagent doctor --model http://localhost:8000/v1"),
    "report": _Entry("commands.records.report", "codagent report --out report.html"),
    "notes": _Entry("commands.notes", ""),
    "models": _Entry("commands.machine", ""),
    "sandbox": _Entry("commands.machine", ""),
}


class CommandTable(Mapping[str, Any]):
    """The commands of codagent, in the order of the help. Each is a command or a group of click."""

    def __getitem__(self, name: str) -> Any:
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_ENTRIES)

    def __len__(self) -> int:
        return len(_ENTRIES)


@cache
def _load(name: str) -> Any:
    """Import a command and make it ready. Raises KeyError for a name that no command has."""
    entry = _ENTRIES[name]
    module = import_module(f"codagent.cli.{entry.module}")
    found = getattr(module, entry.name or name)
    holder = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        kind = getattr(module, entry.kind) if entry.kind else None
        holder.command(name=name, cls=kind, epilog=f"Example: {entry.example}")(found)
    return get_group(holder).commands[name]


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
    if len(first.split()) == 1 and not first.startswith("-"):
        near = get_close_matches(first, (*commands, *_ASKS), n=1)
        if near or all(word.startswith("-") for word in rest):
            hint = f"did you mean `codagent {near[0]}`?" if near else "`codagent --help` lists the commands,"
            raise UsageError(f"there is no command {first!r}; {hint} `codagent run {first} …` takes words as a task")
    return ["run", *args]
