"""Plays the loops of an evaluation, so many at a time, and says how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from codagent.text import count
from codagent.types import Loop
from codagent_train.rollout.rollout import Rollout
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import RolloutSpec

LOOPS_AT_ONCE = 128  # so many loops are played side by side
SAY_SECONDS = 10.0  # how often it is said how many replies there were; loops side by side all end at about the same time

Say = Callable[[str], None]
_T = TypeVar("_T")


def play_loops(
    play: Rollout, sampler: Sampler, specs: Sequence[RolloutSpec], keep: Callable[[Loop], _T], say: Say, name: str
) -> Iterator[_T]:
    """Yield what `keep` makes of each loop, in the order of the specs. `say` gets lines of progress, which begin with `name`."""
    for first in range(0, len(specs), LOOPS_AT_ONCE):
        progress = f"{name}: {first} of {len(specs)} loops played"
        say(progress)
        counted = replace(sampler, on_reply=_count_replies(say, progress))
        yield from map(keep, play(counted, specs[first : first + LOOPS_AT_ONCE]))


def _count_replies(say: Say, progress: str) -> Callable[[], None]:
    """Return what is called at each reply, and says now and then how many there were."""
    replies, last = 0, time.monotonic()

    def count_one() -> None:
        nonlocal replies, last
        replies += 1
        if time.monotonic() - last >= SAY_SECONDS:
            last = time.monotonic()
            say(f"{progress}, and {count(replies, 'answer')} in those that run")

    return count_one
