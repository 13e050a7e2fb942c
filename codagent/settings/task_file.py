"""Task files: `codagent loop FILE.toml` names tasks and settings for them, `codagent loop FILE.md` is one instruction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from codagent.errors import UsageError
from codagent.settings.layers import Layer, refuse_local
from codagent.settings.toml import Table, Text, Texts, Whole, parse_table, read_text, read_toml
from codagent.types import Task

_Id = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z",
        description="a name of up to 64 letters, digits, '.', '_' and '-' that begins with a letter or a digit",
    ),
]


class _TaskTable(Table, frozen=True):
    """One [[task]]. Without `id` it is named by its number, without `checks` it has those of the file.

    `fresh` tasks start from the file's `start`, the others from what the task before them left.
    """

    instruction: Text
    id: _Id | None = None
    checks: Texts | None = None
    seed: Whole = 0
    fresh: bool = False


class _TaskFileTable(Layer, frozen=True):
    """A whole task file: settings, and either one instruction or [[task]] tables."""

    repository: Text | None = None  # a folder; a relative one begins at the file
    start: Annotated[str, Meta(pattern=r"\A[0-9a-f]{40}([0-9a-f]{24})?\Z", description="the whole id of a commit")] | None = None

    instruction: Text | None = None
    setup: Text | None = None  # short for the one of [sandbox]
    task: tuple[_TaskTable, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskFile:
    """`settings` is what the file states of anything but its tasks, and the checks for all of them."""

    tasks: tuple[Task, ...]
    settings: Layer
    repository: Path | None = None  # that the tasks are about; None: the file does not say
    start: str = ""  # the commit that the tasks start from; "": the files as they are


def is_task_file(text: str) -> bool:
    """Whether a person who says this means a file, which need not exist, and not an instruction."""
    return text.endswith((".toml", ".md")) and not re.search(r"\s", text)


def read_tasks(path: Path) -> TaskFile:
    """Read a task file. A task without checks is left to the checks of the settings.

    Raises UsageError, which names the file, the key and what would do.
    """
    try:
        return _read_instruction(path) if path.suffix == ".md" else _read_tables(path)
    except FileNotFoundError:
        raise UsageError(f"there is no task file {path}; give an instruction in words, or a .toml or .md file that exists") from None


def _read_instruction(path: Path) -> TaskFile:
    text = read_text(path).strip()
    if not text:
        raise UsageError(f"{path} is empty; write the instruction into it")
    return TaskFile((Task("task-1", text),), Layer())


def _read_tables(path: Path) -> TaskFile:
    file = parse_table(read_toml(path), _TaskFileTable, where=path)
    refuse_local(file, path)
    if file.instruction and file.task:
        raise UsageError(f"{path}: an instruction and [[task]] tables exclude each other; keep one")
    if file.setup and file.sandbox.setup:
        raise UsageError(f"{path}: 'setup' is short for the one of [sandbox], which is given too; keep one")
    if file.hooks or file.mcp:
        brought = "hooks" if file.hooks else "MCP servers"
        raise UsageError(f"{path}: a task file may not bring {brought}, which run on this machine; they belong into your user file")
    tables = (_TaskTable(file.instruction),) if file.instruction else file.task
    if not tables:
        raise UsageError(f"{path} names nothing to do; give it an instruction, or [[task]] tables")
    tasks = tuple(
        Task(
            table.id or f"task-{number}",
            table.instruction.strip(),
            (file.checks if table.checks is None else table.checks) or (),
            table.seed,
            (file.start or "") if table.fresh else "",
        )
        for number, table in enumerate(tables, 1)
    )
    _refuse_same_ids(path, tasks)
    if not file.start and any(table.fresh for table in tables):
        raise UsageError(f"{path}: a fresh task starts from the commit `start` of the file, which is missing")
    sandbox = replace(file.sandbox, setup=file.setup or file.sandbox.setup)
    settings = Layer(**{**{key: getattr(file, key) for key in Layer.__struct_fields__}, "sandbox": sandbox})
    return TaskFile(tasks, settings, path.parent / file.repository if file.repository else None, file.start or "")


def _refuse_same_ids(path: Path, tasks: tuple[Task, ...]) -> None:
    """Raise UsageError for ids that differ in case only, because files are named after them."""
    numbers: dict[str, int] = {}
    for number, task in enumerate(tasks, 1):
        first = numbers.setdefault(task.id.lower(), number)
        if first != number:
            raise UsageError(f"{path}: [[task]] number {number}: the id {task.id!r} is also that of number {first}; give it another")
