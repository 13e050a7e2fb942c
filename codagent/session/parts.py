"""Names the parts of a change that a person wants: files, folders, and hunks of a file."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from codagent.errors import UsageError
from codagent.repository import git
from codagent.text import join_names


def split_words(text: str) -> list[str]:
    """Split what follows a command at its spaces. Quotes keep a word with spaces together."""
    try:
        return shlex.split(text)
    except ValueError:  # a quotation mark or backslash that stands for itself
        return text.split()


def quote_word(word: str) -> str:
    """Write a word so that `split_words` returns it."""
    return word if split_words(word) == [word] else shlex.quote(word)


def choose_parts(root: Path, change: tuple[str, str], words: Sequence[str]) -> dict[str, Collection[int] | None]:
    """Return the parts that the words name: PATH for a whole file or folder, "." for all, PATH:1,3 for its first and third hunk.

    They are numbers of hunks by path, as `git.select` takes them. `change` is two commits, the one before first. Raises UsageError for a
    word that names none.
    """
    changed = git.list_changed(root, *change)
    chosen: dict[str, Collection[int] | None] = {}
    for word in words:
        path, _, numbers = word.rpartition(":") if re.fullmatch(r".+:\d+(,\d+)*", word) else (word, "", "")
        path = posixpath.normpath(path)
        files = [file for file in changed if path == "." or f"{file.path}/".startswith(f"{path}/")]
        hunks = [int(number) - 1 for number in numbers.split(",")] if numbers else None
        if not files or (hunks is not None and not all(0 <= hunk < len(files[0].hunks) for hunk in hunks)):
            raise UsageError(f"{word} is not in the change; it has {join_names(map(_describe_file, changed))}")
        chosen |= {file.path: hunks for file in files}
    return chosen


def _describe_file(file: git.ChangedFile) -> str:
    hunks = f" ({len(file.hunks)} hunks)" if len(file.hunks) > 1 else ""
    return f"{quote_word(file.path)}{hunks}"
