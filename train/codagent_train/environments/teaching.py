"""What an environment adds to lessons: a teacher that plays its tasks, and the words that state something hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Teacher(Protocol):
    """Plays one task in words, for a model to imitate. It does not choose which notes are given or written.

    `facts` are all words that state something of what is hidden in the pack, true or false. `truths` are true ones that notes may tell a
    reader, and `asides` are other words of notes. `weigh_answers` is asked at every turn, with the words of the notes and those that were
    told in the task so far. It returns the weights of the answers among which a player chooses who takes the true facts and ignores others.
    """

    @property
    def facts(self) -> Sequence[str]: ...
    @property
    def truths(self) -> Sequence[str]: ...
    @property
    def asides(self) -> Sequence[str]: ...
    def weigh_answers(self, notes: Sequence[str], told: Sequence[str]) -> Mapping[str, float]: ...
