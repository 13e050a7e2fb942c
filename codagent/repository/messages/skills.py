"""Skills (agentskills.io): folders with a `SKILL.md`, of which the model is told the name and what it is for.

A repository has skills, and so has a person. The person's are copied into the sandbox, beside the work and outside of it.
The model reads the file itself when a task fits. Nothing of a skill runs by itself.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_SKILLS = 50
MAX_HEAD_BYTES = 8 * 1024  # of a file; the head of a skill is shorter
_MAX_DESCRIPTION = 1024  # characters
SKILL_FILE = "SKILL.md"
_NAME = r"[a-z0-9][a-z0-9-]{0,63}"
_PATH = re.compile(rf"\.(?:agents|claude)/skills/({_NAME})/SKILL\.md")
_USER_PATH = re.compile(rf"{_NAME}(?:/[^/\0]+)+")
_HEAD = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_FIELD = re.compile(r"([A-Za-z-]+):[ \t]*(.*)")


@dataclass(frozen=True, slots=True)
class SkillFile:
    """A file of a person's skill. Raises ValueError for a path that is not one in a skill's folder."""

    path: str  # from the folder of the skills, "NAME/SKILL.md"
    text: str

    def __post_init__(self) -> None:
        if not _USER_PATH.fullmatch(self.path) or ".." in self.path.split("/"):
            raise ValueError(f"{self.path[:80]!r} is no path of a skill's file")


def find_skills(paths: Iterable[str]) -> list[str]:
    """Return the files of the skills among the files of a repository. Of two skills with the same name, one is there."""
    by_name: dict[str, str] = {}
    for path in paths:
        if found := _PATH.fullmatch(path):
            by_name[found[1]] = min(path, by_name.get(found[1], path))  # ".agents" goes before ".claude"
    return [by_name[name] for name in sorted(by_name)][:MAX_SKILLS]


def describe_skill(path: str, text: str) -> str:
    """Return a line for the model: `name: what it is for (path)`. "": its head does not say that, or has another name than its folder."""
    found, folder = _HEAD.match(text), name_skill(path)
    fields = _parse_head(found[1]) if found else {}
    name, description = fields.get("name", ""), fields.get("description", "")[:_MAX_DESCRIPTION]
    return f"{name}: {description} ({path})" if re.fullmatch(_NAME, name) and name == folder and description else ""


def name_skill(path: str) -> str:
    """Return the name of a skill by the path of its file."""
    return posixpath.basename(posixpath.dirname(path))


def _parse_head(head: str) -> dict[str, str]:
    """Read the fields of a head: YAML with a text for each key, which may go on in indented lines."""
    fields: dict[str, list[str]] = {}
    key = ""
    for line in head.splitlines():
        if field := _FIELD.fullmatch(line):
            key, value = field[1], field[2].strip()
            fields[key] = [] if value in (">", "|", ">-", "|-") else [value]
        elif key and line[:1] in (" ", "\t"):
            fields[key].append(line.strip())
    return {key: _unquote(" ".join(" ".join(lines).split())) for key, lines in fields.items()}


def _unquote(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
