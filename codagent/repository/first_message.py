"""An episode's first message: the task and all that is known at its start, no longer than it may be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from codagent.prompts import prompt
from codagent.repository import tools
from codagent.repository.repo_map import list_files, select_files
from codagent.text import pytest_summary, sanitize, truncate_middle
from codagent.types import Profile, Sandbox, Task

RULES_BYTES = 8_000
RULES_FILES = ("AGENTS.md", "CLAUDE.md")
GATES_BYTES = 4_000
_LEAST_BYTES = 200  # a part that would be shorter is left out
_MARK_BYTES = 60  # for the line that says what is missing


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the repository: limits left, earlier attempts, the gates' word on the state at the start, the notes."""

    limits: str = ""
    earlier: str = ""
    gates: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the message; an `elastic` one may be shortened."""

    text: str
    elastic: bool = False


def fit(parts: Sequence[Part], max_bytes: int | None) -> str:
    """The parts that say something, as one text; over `max_bytes`, elastic ones are shortened or left out, the longest first."""
    texts = [part.text for part in parts]
    elastic = [at for at, part in enumerate(parts) if part.elastic and part.text]
    while max_bytes is not None and elastic and (over := _size(_joined(texts)) - max_bytes) > 0:
        at = max(elastic, key=lambda at: _size(texts[at]))
        elastic.remove(at)
        left = _size(texts[at]) - over - _MARK_BYTES
        texts[at] = truncate_middle(texts[at], max_lines=len(texts[at]), max_bytes=left) if left >= _LEAST_BYTES else ""
    return _joined(texts)


def plain(task: Task, sandbox: Sandbox, paths: Sequence[str], known: Known) -> list[Part]:
    """What stays the same from attempt to attempt comes first."""
    checks = "These checks decide: " + "; ".join(f"`{check}`" for check in task.checks)
    return [
        Part(f"Task: {task.instruction}"),
        Part(checks if task.checks else ""),
        Part(_rules(sandbox, paths)),
        Part(list_files(paths), elastic=True),
        Part(known.limits),
        Part(_gates(known.gates), elastic=True),
        Part(f"Earlier attempts:\n{known.earlier}" if known.earlier else "", elastic=True),
        Part(_notes(known.notes)),
    ]


def filled(task: Task, sandbox: Sandbox, paths: Sequence[str], known: Known, *, profile: Profile, said: str) -> tuple[list[Part], str]:
    """Small models do best with the files first, then what the checks print (`said`), then the task and the form of the answer.

    Gives the parts, and the form of the answer by itself.
    """
    shown = select_files(sandbox, paths, f"{task.instruction}\n{said}", profile.fill_tokens)
    form = _form(shown, profile)
    files = [Part(_fenced(path, sandbox.read(path))) for path in reversed(shown)] or [Part(list_files(paths), elastic=True)]
    parts = [
        Part(_rules(sandbox, paths)),
        *files,
        Part(f"The checks print:\n```\n{pytest_summary(said)}\n```" if said else "", elastic=True),
        Part(_notes(known.notes)),
        Part(f"Task: {task.instruction}"),
        Part(f"{prompt('first')} {form}"),
    ]
    return parts, form


def _form(shown: Sequence[str], profile: Profile) -> str:
    """How the answer should look: a function of a Python file where the model may give one, in the block that it has seen most of;
    else a whole file. Of several files the likeliest is named: a small model copies what stands there, word for word."""
    function = tools.DEFINE in tools.select_tools(profile) and all(path.endswith(".py") for path in shown)
    what, block = ("function", "```python") if shown and function else ("file", f"```{tools.WRITE.name} {shown[0] if shown else 'PATH'}")
    return prompt("answer").replace("{what}", what).replace("{block}", block)


def _rules(sandbox: Sandbox, paths: Sequence[str]) -> str:
    name = next((name for name in RULES_FILES if name in paths), None)
    if name is None:
        return ""
    text = truncate_middle(sanitize(sandbox.read(name).decode(errors="replace")), max_lines=200, max_bytes=RULES_BYTES)
    return f"The repository's own instructions ({name}):\n{text.strip()}"


def _gates(feedback: str) -> str:
    text = truncate_middle(feedback, max_lines=80, max_bytes=GATES_BYTES)
    return f"What the gates say of the files as they are now:\n{text}" if text else ""


def _notes(notes: str) -> str:
    return f"{prompt('hints')}\n<notes>\n{notes}\n</notes>" if notes else ""


def _fenced(path: str, data: bytes) -> str:
    text = data.decode(errors="replace")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"^`{3,}", text, re.MULTILINE)), default=0))
    return f"{path}:\n{fence}\n{text.rstrip()}\n{fence}"


def _joined(texts: Sequence[str]) -> str:
    return "\n\n".join(filter(None, texts))


def _size(text: str) -> int:
    return len(text.encode(errors="surrogateescape"))
