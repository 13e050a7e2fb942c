"""Notes from elsewhere: what a policy is given to solve with in place of notes of its own, so that what these are worth can be told.

Each Carry here serves one loop, from its start to its end, and nothing is rewritten in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codagent.loop import Carry
from codagent.types import Loop
from codagent_train.environments.lakes import mapping
from codagent_train.evaluate import Played


def without() -> Carry:
    """No notes at any position."""
    return Carry("never", lambda _: "")


def given(loop: Loop) -> Carry:
    """At each position the notes that `loop` had there. With a loop that the untrained model played over the same pack, the notes are
    frozen at what that model writes, and only the solving is that of the policy under test."""
    notes = iter([episode.notes_before for episode in loop.episodes if episode.kind == "solve"])
    return Carry("never", lambda _: next(notes))


def of_another_pack(played: Sequence[Played]) -> Iterator[tuple[Carry, ...]]:
    """For each pack, in order, and each of its loops, the notes of a loop over the next pack with another mapping: as good in form.

    ValueError when all packs have the same mapping.
    """
    for place, each in enumerate(played):
        others = [*played[place + 1 :], *played[:place]]
        other = next((other for other in others if mapping(other.pack.seed) != mapping(each.pack.seed)), None)
        if other is None:
            raise ValueError("all packs have the same mapping")
        yield tuple(given(other.loops[number % len(other.loops)]) for number in range(len(each.loops)))
