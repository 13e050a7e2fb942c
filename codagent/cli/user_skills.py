"""A person's own skills: the folders with a `SKILL.md` in `skills` beside the user file. They are offered in every repository."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from codagent.cli.terminal.output import warn
from codagent.errors import RepositoryError
from codagent.files import read_plain
from codagent.repository.messages.skills import MAX_SKILLS, SKILL_FILE, SkillFile, describe_skill

MAX_BYTES = 256 * 1024  # of all skills together: the record of each loop has them
_MAX_FILES = 200  # of a skill


def read_user_skills(folder: Path) -> tuple[SkillFile, ...]:
    """Return the files of the skills in a folder; (): there are none.

    A skill may be a link to a folder elsewhere; links in it are not followed. A skill that cannot be used as a whole is left out, with a
    warning.
    """
    files: list[SkillFile] = []
    left, count = MAX_BYTES, 0
    for path in sorted(folder.glob(f"*/{SKILL_FILE}")):
        try:
            skill = list(_read_skill(path.parent, left))
        except (OSError, RepositoryError, ValueError) as error:
            warn(f"your own skill {path.parent.name} is left out: {error}")
            continue
        if count == MAX_SKILLS:
            warn(f"your own skill {path.parent.name} is left out: there are {MAX_SKILLS} already")
            continue
        files += skill
        left -= sum(len(file.text.encode()) for file in skill)
        count += 1
    return tuple(files)


def _read_skill(folder: Path, max_bytes: int) -> Iterator[SkillFile]:
    """Yield the files of a skill.

    Raises ValueError, with a sentence, for what is no skill, has a file that is no text, or has more than `max_bytes` bytes; and OSError
    and RepositoryError for a file that cannot be read.
    """
    top = Path(os.path.realpath(folder))
    if not describe_skill(f"{folder.name}/{SKILL_FILE}", _read_text(top / SKILL_FILE, MAX_BYTES)):
        raise ValueError("its head lacks a description, or the name of its folder")
    shown = (path for path in sorted(top.rglob("*")) if "/." not in f"/{path.relative_to(top)}")
    paths = [path for path in shown if path.is_file() and not path.is_symlink()]
    if len(paths) > _MAX_FILES:
        raise ValueError(f"it has more than {_MAX_FILES} files")
    for path in paths:
        text = _read_text(path, max_bytes)
        max_bytes -= path.stat().st_size
        yield SkillFile(f"{folder.name}/{path.relative_to(top).as_posix()}", text)


def _read_text(path: Path, max_bytes: int) -> str:
    """Return the text of a file. Raises ValueError, with a sentence, when it is none or too large."""
    data = read_plain(path)
    if len(data) > max_bytes:
        raise ValueError(f"your skills have more than {MAX_BYTES >> 10} KiB with {path.name}")
    if b"\0" in data:
        raise ValueError(f"{path.name} is no text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path.name} is no text in UTF-8") from None
