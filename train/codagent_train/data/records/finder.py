"""Finds and reads the records in folders, and keeps the reason for each one that is not used. Does not import torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from codagent.errors import RecordError, UsageError
from codagent.store.layout import RECORD
from codagent.store.record import load
from codagent.types import Loop


@dataclass(frozen=True, slots=True)
class Rejection:
    """Something that is not used."""

    kind: str  # "record", "loop" or "reply"
    where: Path  # the file of the record
    reason: str


def find_record_files(paths: Sequence[Path]) -> list[Path]:
    """Return the records in these folders in order, each once. A path may be a record itself.

    Raises UsageError for a path that does not exist or holds no record.
    """
    files: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise UsageError(f"there is no {path}; give folders with records, such as .codagent/loops")
        inside = [path] if path.is_file() else sorted(path.rglob(RECORD))
        if not inside:
            raise UsageError(f"there is no {RECORD} in {path}; loops leave theirs in .codagent/loops of their repository")
        files |= {file.resolve(): file for file in inside}
    return list(files.values())


def iter_unique(paths: Sequence[Path], rejections: list[Rejection]) -> Iterator[tuple[Path, Loop]]:
    """Like `iter_readable`, but yield each loop once. A second copy of a loop is added to `rejections`."""
    seen: set[str] = set()
    for file, loop in iter_readable(paths, rejections):
        if loop.id in seen:
            rejections.append(Rejection("loop", file, "a second copy"))
        else:
            seen.add(loop.id)
            yield file, loop


def iter_readable(paths: Sequence[Path], rejections: list[Rejection]) -> Iterator[tuple[Path, Loop]]:
    """Yield the loops of the records in these folders, each with its file. A record that cannot be read is added to `rejections`.

    Raises UsageError like `find_record_files`.
    """
    for file in find_record_files(paths):
        try:
            loop = load(file)
        except RecordError as error:
            rejections.append(Rejection("record", file, str(error).removeprefix(f"{file} ").removeprefix(f"{file}, ")))
        else:
            yield file, loop


def join_reasons(rejections: Iterable[Rejection]) -> str:
    """Return the reasons in one line, each once."""
    return "; ".join(sorted({rejection.reason for rejection in rejections}))
