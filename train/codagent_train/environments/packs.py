"""Packs: rows of tasks that share something hidden, so that notes from one task help with the next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeVar

from codagent.types import Task

Split = Literal["train", "test"]

T = TypeVar("T")


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


def pick_in_turn(items: Sequence[T], place: int, *name: str | int) -> T:
    """Return what stands at `place` in an endless row of items for training. No item comes again before all others have come.

    Their order is drawn anew each time that all have come. `name` are the parts of its seed.
    """
    again, place = divmod(place, len(items))
    return Random(seed_of("train", *name, again)).sample(items, len(items))[place]  # noqa: S311
