"""What travels between the command and a worker of its fleet: a loop to run, and piece by piece what becomes of it. All can be pickled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from codagent.runner.spec import LoopSpec
from codagent.sandbox.images.setup import Setup
from codagent.settings.settings import Settings
from codagent.store import layout
from codagent.types import Calling, Episode, Profile, Reply, Step

NOTES = "notes.md"
FILES = (layout.LEDGER, NOTES, layout.RECORD)  # of a loop's folder


@dataclass(frozen=True, slots=True)
class LoopFile:
    """A file of a loop's folder."""

    data: bytes
    changed: float  # when it was last written, as Unix time


@dataclass(frozen=True, slots=True)
class Parcel:
    """A loop to run, or to take up from its files."""

    spec: LoopSpec  # with the commits that it begins from
    settings: Settings
    files: Mapping[str, LoopFile]  # by name; none for a loop that begins
    profile: Profile | None = None  # that a record has for the model; None: the model's own
    api_key: str | None = None
    calling: Calling | None = None
    secret: bytes = b""
    setup: Setup | None = None  # what the repository sets up for its sandbox, as the person allowed it


@dataclass(frozen=True, slots=True)
class Began:
    """A worker has the loop."""

    node: str  # the id of its machine


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence for the person."""

    line: str


@dataclass(frozen=True, slots=True)
class Seen:
    """An event for a display, without what was sampled."""

    kind: Literal["episode_start", "reply", "step", "episode_end"]
    value: Episode | Reply | Step


@dataclass(frozen=True, slots=True)
class FileTail:
    """The bytes of a file from `offset` on. What was there is replaced."""

    name: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class KeptWork:
    """What an attempt made, as a commit. It comes before the line of the record that names it."""

    position: int
    commit: str
    best: str  # the commit that the loop's branch points to
    base: str  # a commit that is known on both sides
    pack: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The loop is over, or was stopped; its record says why."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The loop did not begin, or could not be kept."""

    kind: str  # the name of the error's class; "KeyboardInterrupt": it was stopped
    message: str


Piece = Began | Said | Seen | FileTail | KeptWork | Ended | Failed


def read_files(folder: Path) -> dict[str, LoopFile]:
    """Read the files of a loop's folder that travel."""
    found = {name: folder / name for name in FILES if (folder / name).is_file()}
    return {name: LoopFile(path.read_bytes(), path.stat().st_mtime) for name, path in found.items()}


def write_files(folder: Path, files: Mapping[str, LoopFile]) -> None:
    """Write the files into a loop's folder, as old as they were: how long a loop has worked is read from that."""
    for name, file in files.items():
        (folder / name).write_bytes(file.data)
        os.utime(folder / name, (file.changed, file.changed))
