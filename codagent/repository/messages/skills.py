"""Skills of a repository (agentskills.io): folders with a `SKILL.md`, of which the model is told the name and what it is for.

The model reads the file itself when a task fits. Nothing of a skill runs by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_SKILLS = 50
MAX_HEAD_BYTES = 8 * 1024  # of a file; the head of a skill is shorter
_MAX_DESCRIPTION = 1024  # characters
_FOLDERS = (".agents", ".claude")  # the weightier first
_PATH = re.compile(r"\.(?:agents|claude)/skills/([a-z0-9][a-z0-9-]{0,63})/SKILL\.md")
_HEAD = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_FIELD = re.compile(r"([A-Za-z-]+):[ \t]*(.*)")


def find_skills(paths: Sequence[str]) -> list[str]:
    """Return the files of the skills among the files of a repository. Of two skills with the same name, one is there."""
    by_name: dict[str, str] = {}
    for folder in _FOLDERS:
        for path in paths:
            if path.startswith(f"{folder}/") and (found := _PATH.fullmatch(path)):
                by_name.setdefault(found[1], path)
    return [by_name[name] for name in sorted(by_name)][:MAX_SKILLS]


def describe_skill(path: str, text: str) -> str:
    """Return a line for the model: `name: what it is for (path)`. "": its head does not say that, or has another name than its folder."""
    found, folder = _HEAD.match(text), _PATH.fullmatch(path)
    fields = _parse_head(found[1]) if found else {}
    name, description = fields.get("name", ""), fields.get("description", "")[:_MAX_DESCRIPTION]
    return f"{name}: {description} ({path})" if folder and name == folder[1] and description else ""


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
