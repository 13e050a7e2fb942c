"""Packs: rows of tasks that share something hidden, so that notes from one task help with the next."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from codagent.types import Task

Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class Pack:
    """A row of tasks. What they share follows from `seed`; what differs between them follows from the seed of each task."""

    seed: int
    tasks: tuple[Task, ...]


def seed_of(split: Split, *parts: str | int) -> int:
    """Compute a seed from a split and the parts of a name. It is the same on every machine and in every version.

    Seeds for training are even and seeds for tests are odd, so training never sees a test pack.
    """
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:7], "big") * 2 + (split == "test")
