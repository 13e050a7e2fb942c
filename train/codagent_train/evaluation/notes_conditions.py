"""Whose notes are solved with: a policy's own, or in their place none or those from elsewhere, so that what its own are worth can be told.

Each NotesIO here serves one loop, from its start to its end; all but the own rewrite nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from codagent.agent.loop import NotesIO
from codagent.errors import UsageError
from codagent.types import Loop
from codagent_train.environments.frozenlake.rules import mapping
from codagent_train.evaluation.report import Played, whole

Cast = dict[int, tuple[NotesIO, ...]]  # for each pack, by its number: its loops, by how they come to their notes


def own(packs: int, loops: int) -> Cast:
    """What the policy itself wrote after the task before."""
    return {number: (NotesIO("between"),) * loops for number in range(packs)}


def without(packs: int, loops: int) -> Cast:
    """No notes at any position."""
    return {number: (NotesIO("never", lambda _: ""),) * loops for number in range(packs)}


def again(played: Sequence[Played]) -> Cast:
    """In the place of each whole loop, its notes position by position. With loops of the untrained model, the notes are frozen at what
    that writes, and only the solving is that of the policy under test."""
    return {each.number: tuple(map(_notes_of, each.loops)) for each in whole(played)}


def of_another_pack(played: Sequence[Played]) -> Cast:
    """In the place of each whole loop, the notes of one over the next pack with another mapping: as good in form.

    UsageError when all packs have the same mapping.
    """
    kept = whole(played)
    found: Cast = {}
    for place, each in enumerate(kept):
        others = [*kept[place + 1 :], *kept[:place]]
        other = next((other for other in others if mapping(other.pack.seed) != mapping(each.pack.seed)), None)
        if other is None:
            raise UsageError(f"all of these packs, {len(kept)}, have the same mapping, so that none has notes of another; play more packs")
        found[each.number] = tuple(_notes_of(other.loops[number % len(other.loops)]) for number in range(len(each.loops)))
    return found


def _notes_of(loop: Loop) -> NotesIO:
    notes = iter([episode.notes_before for episode in loop.episodes if episode.kind == "solve"])
    return NotesIO("never", lambda _: next(notes))
