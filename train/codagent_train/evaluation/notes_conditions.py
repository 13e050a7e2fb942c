"""The notes that tasks are solved with: the policy's own, or others in their place, so that the worth of its own can be measured.

Each NotesIO serves one loop from its start to its end. Only `own_notes` lets the policy rewrite notes.
"""

from __future__ import annotations

from collections.abc import Sequence

from codagent.agent.loop import NotesIO
from codagent.errors import UsageError
from codagent.types import Loop
from codagent_train.environments.frozenlake.rules import draw_mapping
from codagent_train.evaluation.report import PackResult, drop_broken_off

NotesByPack = dict[int, tuple[NotesIO, ...]]  # by the number of a pack: the notes of each of its loops


def own_notes(packs: int, loops: int) -> NotesByPack:
    """Let the policy use the notes that it wrote after the task before."""
    return {number: (NotesIO("between"),) * loops for number in range(packs)}


def no_notes(packs: int, loops: int) -> NotesByPack:
    """Give no notes at any position."""
    return {number: (NotesIO("never", lambda _: ""),) * loops for number in range(packs)}


def replay_notes(results: Sequence[PackResult]) -> NotesByPack:
    """Give the loops of each pack the notes that recorded loops had, position by position.

    With loops of the untrained model the notes are frozen at what that model writes, and the policy under test only solves.
    Loops that were broken off are left out.
    """
    return {result.number: tuple(map(_notes_of, result.loops)) for result in drop_broken_off(results)}


def shuffle_notes(results: Sequence[PackResult]) -> NotesByPack:
    """Give the loops of each pack the notes of the next pack that has another mapping: of the same form, but wrong.

    Loops that were broken off are left out. Raises UsageError when all packs have the same mapping.
    """
    complete = drop_broken_off(results)
    notes: NotesByPack = {}
    for index, result in enumerate(complete):
        others = [*complete[index + 1 :], *complete[:index]]
        other = next((other for other in others if draw_mapping(other.pack.seed) != draw_mapping(result.pack.seed)), None)
        if other is None:
            raise UsageError(f"all {len(complete)} packs have the same mapping, so there are no notes on another one; play more packs")
        notes[result.number] = tuple(_notes_of(other.loops[number % len(other.loops)]) for number in range(len(result.loops)))
    return notes


def _notes_of(loop: Loop) -> NotesIO:
    notes = iter([episode.notes_before for episode in loop.episodes if episode.kind == "solve"])
    return NotesIO("never", lambda _: next(notes))
