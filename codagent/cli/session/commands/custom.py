"""A person's own commands: Markdown files in `.codagent/commands/` of the repository. `$ARGUMENTS` in one is what follows the name."""

from __future__ import annotations

import re
from pathlib import Path

from codagent.errors import RepositoryError
from codagent.files import is_plain, read_plain
from codagent.store import layout

_ARGUMENTS = "$ARGUMENTS"
_NAME = re.compile(r"[\w-]+")


def list_commands(root: Path) -> list[str]:
    """Return the names of the person's own commands."""
    folder = _folder(root)
    return sorted(file.stem for file in folder.glob("*.md") if _NAME.fullmatch(file.stem) and is_plain(file)) if folder.is_dir() else []


def read_command(root: Path, name: str, arguments: str) -> str:
    """Return the text of a command with its arguments. "": there is no such command, or its file is empty."""
    file = _folder(root) / f"{name}.md"
    if not _NAME.fullmatch(name) or not is_plain(file):
        return ""
    try:
        text = read_plain(file).decode(errors="replace").strip()
    except (OSError, RepositoryError):
        return ""
    return text.replace(_ARGUMENTS, arguments) if _ARGUMENTS in text else "\n\n".join(filter(None, [text, arguments]))


def _folder(root: Path) -> Path:
    return layout.home_dir(root) / "commands"
