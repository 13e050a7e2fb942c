"""Whose notes are solved with: a policy's own, or in their place none or those from elsewhere, so that what its own are worth can be told.

Each NotesIO here serves one loop, from its start to its end; all but the own rewrite nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from codagent.agent.loop import NotesIO
from codagent.errors import UsageError
from codagent.types import Loop
from codagent_train.environments.frozenlake.rules import draw_mapping
from codagent_train.evaluation.report import PackResult, drop_broken_off

NotesByPack = dict[int, tuple[NotesIO, ...]]  # for each pack, by its number: its loops, by how they come to their notes


def own_notes(packs: int, loops: int) -> NotesByPack:
    """What the policy itself wrote after the task before."""
    return {number: (NotesIO("between"),) * loops for number in range(packs)}


def no_notes(packs: int, loops: int) -> NotesByPack:
    """No notes at any position."""
    return {number: (NotesIO("never", lambda _: ""),) * loops for number in range(packs)}


def replay_notes(results: Sequence[PackResult]) -> NotesByPack:
    """In the place of each whole loop, its notes position by position. With loops of the untrained model, the notes are frozen at what
    that writes, and only the solving is that of the policy under test."""
    return {result.number: tuple(map(_notes_of, result.loops)) for result in drop_broken_off(results)}


def shuffle_notes(results: Sequence[PackResult]) -> NotesByPack:
    """In the place of each whole loop, the notes of one over the next pack with another mapping: as good in form.

    UsageError when all packs have the same mapping.
    """
    complete = drop_broken_off(results)
    notes: NotesByPack = {}
    for index, result in enumerate(complete):
        others = [*complete[index + 1 :], *complete[:index]]
        other = next((other for other in others if draw_mapping(other.pack.seed) != draw_mapping(result.pack.seed)), None)
        if other is None:
            raise UsageError(
                f"all of these packs, {len(complete)}, have the same mapping, so that none has notes of another; play more packs"
            )
        notes[result.number] = tuple(_notes_of(other.loops[number % len(other.loops)]) for number in range(len(result.loops)))
    return notes


def _notes_of(loop: Loop) -> NotesIO:
    notes = iter([episode.notes_before for episode in loop.episodes if episode.kind == "solve"])
    return NotesIO("never", lambda _: next(notes))
