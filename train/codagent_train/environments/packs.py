"""Packs: tasks in a row that have something hidden in common, so that notes from one help with the next."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from codagent.types import Task

Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class Pack:
    """What is hidden follows from `seed`; each task's own part follows from the task's seed."""

    seed: int
    tasks: tuple[Task, ...]


def seed_of(split: Split, *parts: str | int) -> int:
    """The same number everywhere and always; even for training, odd for tests, so that the two never meet."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:7], "big") * 2 + (split == "test")
