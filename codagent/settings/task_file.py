"""Task files: `codagent loop FILE.toml` names tasks and settings for them, `codagent loop FILE.md` is one instruction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent.settings.settings import KEYS, refuse_local
from codagent.settings.toml import TEXT, TEXTS, WHOLE, Keys, Kind, Source, Values, check, load, text_of
from codagent.types import Task

_ID = Kind(
    "a name of up to 64 letters, digits, '.', '_' and '-' that begins with a letter or a digit",
    lambda value: isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value) is not None,
)
_TASK: Keys = {"id": _ID, "instruction": TEXT, "checks": TEXTS, "seed": WHOLE}
_KEYS: Keys = {"instruction": TEXT, "setup": TEXT, **KEYS, "task": [_TASK]}


@dataclass(frozen=True, slots=True)
class TaskFile:
    """`settings` is a layer for `settings.settings`: what the file says of anything but its tasks, and the checks for all of them."""

    tasks: tuple[Task, ...]
    settings: Values


def is_task_file(text: str) -> bool:
    """Whether a person who says this means a file, which there may not be, and not an instruction."""
    return text.endswith((".toml", ".md")) and not re.search(r"\s", text)


def read_tasks(path: Path) -> TaskFile:
    """UsageError names the file, the line and what would do. Tasks without checks are left to the settings' ones."""
    try:
        return _instruction(path) if path.suffix == ".md" else _tasks(load(path))
    except FileNotFoundError:
        raise UsageError(f"there is no task file {path}; give an instruction in words, or a .toml or .md file that exists") from None


def _instruction(path: Path) -> TaskFile:
    text = text_of(path).strip()
    if not text:
        raise UsageError(f"{path} is empty; write the instruction into it")
    return TaskFile((Task("task-1", text),), {})


def _tasks(source: Source) -> TaskFile:
    check(source, source.data, _KEYS)
    refuse_local(source)
    data, tables = source.data, source.data.get("task", [])
    if tables and "instruction" in data:
        raise UsageError(f"{source.where(('instruction',))}: an instruction and [[task]] tables exclude each other; keep one")
    if not tables and "instruction" not in data:
        raise UsageError(f"{source.path} names nothing to do; give it an instruction, or [[task]] tables")
    settings = {key: data[key] for key in KEYS if key in data} | _sandbox(source)
    if not tables:
        return TaskFile((_task(source, data, ("instruction",), number=1),), settings)
    tasks = tuple(_task(source, table, ("task", index), number=index + 1) for index, table in enumerate(tables))
    _distinct(source, tasks)
    return TaskFile(tasks, settings)


def _sandbox(source: Source) -> dict[str, Any]:
    """The table, with what `setup` at the top stands for."""
    if "setup" not in source.data:
        return {}
    table = source.data.get("sandbox", {})
    if "setup" in table:
        raise UsageError(f"{source.where(('setup',))}: 'setup' is short for the one of [sandbox], which is given too; keep one")
    return {"sandbox": {**table, "setup": source.data["setup"]}}


def _task(source: Source, table: Values, at: tuple[str | int, ...], *, number: int) -> Task:
    checks = table.get("checks", source.data.get("checks"))
    if "instruction" not in table:
        raise UsageError(f"{source.where(at)}: this [[task]] has no instruction; say what is to be done")
    return Task(table.get("id", f"task-{number}"), table["instruction"].strip(), tuple(checks or ()), table.get("seed", 0))


def _distinct(source: Source, tasks: tuple[Task, ...]) -> None:
    """Names of files are not always told apart by case."""
    seen: dict[str, int] = {}
    for index, task in enumerate(tasks):
        first = seen.setdefault(task.id.lower(), index)
        if first != index:
            where = source.where(("task", index))
            raise UsageError(f"{where}: the id {task.id!r} is also that of [[task]] number {first + 1}; give it another")
