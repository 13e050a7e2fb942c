"""The records in folders: found, read, and each refusal with its reason. Knows nothing of torch."""

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
    """What is not used: a record, a loop or a reply of one; `where` names the record."""

    kind: str
    where: Path
    reason: str


def find_record_files(paths: Sequence[Path]) -> list[Path]:
    """The records in these folders, in order, each once."""
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
    """As `iter_readable`, but each loop once; one that was there already is added to `rejections`, too."""
    seen: set[str] = set()
    for file, loop in iter_readable(paths, rejections):
        if loop.id in seen:
            rejections.append(Rejection("loop", file, "there twice"))
        else:
            seen.add(loop.id)
            yield file, loop


def iter_readable(paths: Sequence[Path], rejections: list[Rejection]) -> Iterator[tuple[Path, Loop]]:
    """The loops of the records in these folders, each with its file; a record that cannot be read is added to `rejections`.
    UsageError as `find_record_files`."""
    for file in find_record_files(paths):
        try:
            loop = load(file)
        except RecordError as error:
            rejections.append(Rejection("record", file, str(error).removeprefix(f"{file} ").removeprefix(f"{file}, ")))
        else:
            yield file, loop


def join_reasons(rejections: Iterable[Rejection]) -> str:
    """Each once, in a line."""
    return "; ".join(sorted({rejection.reason for rejection in rejections}))
