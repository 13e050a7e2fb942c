"""The tasks as files that `codagent loop` reads, and what only the person who made them is to know."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

TaskSplit = Literal["train", "held-out"]
PARTS: tuple[TaskSplit, ...] = ("train", "held-out")
_MOST_TOLD = 3  # tests that fail


@dataclass(frozen=True, slots=True)
class MadeTask:
    """A checked task. The agent sees the instruction, the checks and the files of `start`."""

    id: str
    part: TaskSplit
    repository: str  # its name
    start: str  # the commit that the task starts from
    check: str
    path: str  # the file with the bug
    function: str
    operator: str
    failing: Mapping[str, str]  # the tests that fail, each with what it prints


def write_instruction(failing: Mapping[str, str]) -> str:
    """Say what fails as a user would: which test, what it asks for and what comes instead. The place of the bug is not told."""
    told = [f"{name} fails" + (f":\n{_indent(text)}" if text else ".") for name, text in failing.items()]
    more = [f"And {len(told) - _MOST_TOLD} more."] if len(told) > _MOST_TOLD else []
    symptoms = "\n\n".join([*told[:_MOST_TOLD], *more])
    template = resources.files(__package__).joinpath("prompts/bug.md").read_text(encoding="utf-8")
    return template.strip().format(symptoms=symptoms)


def write_task_file(out: Path, task: MadeTask) -> Path:
    """Write the file of a task into the folder of its part, and return its path."""
    file = find_task_file(out, task)
    file.parent.mkdir(parents=True, exist_ok=True)
    instruction = _escape(write_instruction(task.failing), '"""')
    lines = [
        f"repository = {quote(f'../repositories/{task.repository}')}",
        f"start = {quote(task.start)}",
        "",
        "[[task]]",
        f"id = {quote(task.id)}",
        f"checks = [{quote(task.check)}]",
        f'instruction = """\n{instruction}\n"""',
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def find_task_file(out: Path, task: MadeTask) -> Path:
    """Return the path of the file of a task."""
    return out / task.part / f"{task.id}.toml"


def list_task_files(out: Path, part: TaskSplit) -> Sequence[Path]:
    """Return the task files of a part, sorted by name."""
    return sorted((out / part).glob("*.toml"))


def quote(text: str) -> str:
    """Write a text as a string of TOML."""
    escaped = _escape(text, '"').replace("\n", "\\n")
    return f'"{escaped}"'


def _escape(text: str, quotes: str) -> str:
    """Escape what a TOML string between `quotes` cannot hold as it is. Line ends stay."""
    text = text.encode("utf-8", "replace").decode().replace("\\", "\\\\").replace(quotes, quotes.replace('"', '\\"'))
    return re.sub(r"[\x00-\x09\x0b-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
