"""The parts of a change, files and hunks, and the tree that has only some of them."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from codagent.files import temporary_folder
from codagent.repository.git.command import Git
from codagent.repository.git.objects import diff_trees, read_file

_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)
_KINDS: Mapping[str, Literal["added", "removed"]] = {"A": "added", "D": "removed"}
_FILES = ("100644", "100755")


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines of a file that are replaced. Lines are counted from 0."""

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    text: str  # as a patch shows it; bytes that are not UTF-8 are surrogates


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file of a change. One without hunks is taken as a whole: it was added or removed, or it is no text."""

    path: str
    kind: Literal["added", "changed", "removed"]
    hunks: tuple[Hunk, ...] = ()


def list_changed(root: Path, base: str, result: str) -> tuple[ChangedFile, ...]:
    """Return the files that differ between two commits, sorted by path."""
    git = Git(root)
    changed = []
    for facts, path in diff_trees(git, base, result):
        before, after, _, _, status = facts.split()
        hunks = _read_hunks(git, base, result, path) if before in _FILES and after in _FILES else ()
        changed.append(ChangedFile(path, _KINDS.get(status, "changed"), hunks))
    return tuple(changed)


def select(root: Path, base: str, result: str, chosen: Mapping[str, Collection[int] | None]) -> str:
    """Return the tree of `base` with the chosen parts of the change that leads to `result`.

    `chosen` has the numbers of hunks by path, from 0; None: the whole file. Other files stay as they are in `base`.
    """
    git = Git(root)
    with temporary_folder() as folder:
        env = {"GIT_INDEX_FILE": str(folder / "index")}
        git("read-tree", base, env=env)
        entries = b""
        for path, numbers in chosen.items():
            facts = git("ls-tree", "-z", "--full-tree", result, "--", f":(top,literal){path}").partition(b"\t")[0].split()
            mode, blob = (facts[0], facts[2].decode()) if facts else (b"0", "0" * len(base))
            if numbers is not None:
                blob = git.line("hash-object", "-w", "--stdin", stdin=_take(git, base, result, path, numbers))
            entries += mode + f" {blob}\t".encode() + os.fsencode(path) + b"\0"
        git("update-index", "-z", "--add", "--replace", "--index-info", stdin=entries, env=env)
        return git.line("write-tree", "--missing-ok", env=env)


def _read_hunks(git: Git, base: str, result: str, path: str) -> tuple[Hunk, ...]:
    plain = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--unified=3", "--inter-hunk-context=0")
    patch = git("diff", *plain, base, result, "--", f":(top,literal){path}")
    found = list(_HUNK.finditer(patch))
    ends = [*(match.start() for match in found), len(patch)][1:]
    return tuple(_parse_hunk(match, patch[match.start() : end]) for match, end in zip(found, ends, strict=True))


def _parse_hunk(header: re.Match[bytes], text: bytes) -> Hunk:
    old_start, old_count, new_start, new_count = (1 if number is None else int(number) for number in header.groups())
    # a hunk without lines names the line before it
    return Hunk(old_start - bool(old_count), old_count, new_start - bool(new_count), new_count, os.fsdecode(text))


def _take(git: Git, base: str, result: str, path: str, numbers: Collection[int]) -> bytes:
    """Return the content of a file of `base` with some of its hunks replaced by what `result` has there."""
    old, new = (re.findall(rb"[^\n]*\n|[^\n]+", read_file(git.root, commit, path)) for commit in (base, result))
    lines: list[bytes] = []
    at = 0
    for number, hunk in enumerate(_read_hunks(git, base, result, path)):
        if number in numbers:
            lines += old[at : hunk.old_start] + new[hunk.new_start : hunk.new_start + hunk.new_count]
            at = hunk.old_start + hunk.old_count
    return b"".join(lines + old[at:])
