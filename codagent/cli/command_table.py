"""The commands by name. The code of a command is imported when it is used, so that each command starts as fast as its own code allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.main import get_group


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
