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
class Refused:
    """What is not used: a record, a loop or a reply of one; `where` names the record."""

    kind: str
    where: Path
    reason: str


def records(given: Sequence[Path]) -> list[Path]:
    """The records in these folders, in order, each once."""
    found: dict[Path, Path] = {}
    for path in given:
        if not path.exists():
            raise UsageError(f"there is no {path}; give folders with records, such as .codagent/loops")
        inside = [path] if path.is_file() else sorted(path.rglob(RECORD))
        if not inside:
            raise UsageError(f"there is no {RECORD} in {path}; loops leave theirs in .codagent/loops of their repository")
        found |= {file.resolve(): file for file in inside}
    return list(found.values())


def loaded(given: Sequence[Path], refused: list[Refused]) -> Iterator[tuple[Path, Loop]]:
    """As `readable`, but each loop once; one that was there already is added to `refused`, too."""
    seen: set[str] = set()
    for file, loop in readable(given, refused):
        if loop.id in seen:
            refused.append(Refused("loop", file, "there twice"))
        else:
            seen.add(loop.id)
            yield file, loop


def readable(given: Sequence[Path], refused: list[Refused]) -> Iterator[tuple[Path, Loop]]:
    """The loops of the records in these folders, each with its file; a record that cannot be read is added to `refused`. UsageError as
    `records`."""
    for file in records(given):
        try:
            loop = load(file)
        except RecordError as error:
            refused.append(Refused("record", file, str(error).removeprefix(f"{file} ").removeprefix(f"{file}, ")))
        else:
            yield file, loop


def reasons(refused: Iterable[Refused]) -> str:
    """Each once, in a line."""
    return "; ".join(sorted({each.reason for each in refused}))
