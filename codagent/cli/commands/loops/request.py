"""Reads what loops are to work on: a task in words, a task file, several of them, or a folder of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codagent.cli import options
from codagent.cli.commands.arguments import instruction_of
from codagent.errors import UsageError
from codagent.repository import git
from codagent.settings.settings import Settings
from codagent.types import Task

if TYPE_CHECKING:
    from codagent.settings.task_file import TaskFile


def find_files(words: Sequence[str]) -> list[Path]:
    """Return the task files, when the words name several, or folders of them, each with a "/" at its end. []: the words are one task.

    Raises UsageError for a folder without task files.
    """
    from codagent.settings.task_file import is_task_file

    folders = [word for word in words if word.endswith("/") and Path(word).is_dir()]
    if (len(words) < 2 and not folders) or not all(word in folders or is_task_file(word) for word in words):
        return []
    files: list[Path] = []
    for word in words:
        found = sorted(path for path in Path(word).iterdir() if path.suffix in (".toml", ".md")) if word in folders else [Path(word)]
        if not found:
            raise UsageError(f"there is no task file in {word}; put .toml or .md files there")
        files += found
    return list(dict.fromkeys(files))


def find_root(repo: Path, file: TaskFile | None) -> Path:
    """Return the repository: the one that `--repo` names, else the one of the task file, else the one here."""
    if file is None or file.repository is None or repo != Path():
        return git.find_root(repo)
    root = git.find_root(file.repository)
    if file.start:
        git.tree_of(root, file.start)  # which says so when there is no such commit
    return root


def read_request(file: TaskFile, root: Path, flags: dict[str, Any]) -> tuple[tuple[Task, ...], Settings]:
    """Return the tasks, each with its checks, and the settings. Raises UsageError for a task without checks."""
    settings = options.read_settings(root, file.settings, **flags)
    tasks = tuple(replace(item, checks=item.checks or settings.checks) for item in file.tasks)
    if unchecked := [item.id for item in tasks if not item.checks]:
        raise UsageError(f"a loop needs a gate, and {unchecked[0]} has none; add --check CMD, a command that must succeed")
    return tasks, settings


def read_request_file(argument: str | None) -> TaskFile:
    """Return what a task file says, or the task that is given in words."""
    from codagent.settings.layers import Layer
    from codagent.settings.task_file import TaskFile, is_task_file, read_tasks

    if argument is not None and is_task_file(argument):
        return read_tasks(Path(argument))
    text = instruction_of(argument)
    if text is None:
        raise UsageError("a loop needs a task; say what to do, or name a FILE.md or FILE.toml")
    return TaskFile((Task("task", text),), Layer())
