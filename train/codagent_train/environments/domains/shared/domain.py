"""What a domain offers to recipes and evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from codagent.types import Task
from codagent_train.environments.domains.shared.turns import Game, Wording
from codagent_train.environments.packs import Pack, Split, seed_of
from codagent_train.environments.teaching import Teacher
from codagent_train.environments.vocabulary import Vocabulary


class Score(NamedTuple):
    """How one attempt ended."""

    reward: float
    passed: bool


PlayPack = Callable[[str, Pack], list[Score]]  # plays a pack of a level without a model, and returns the score of each task


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain. Its packs are made per level; its players show what can be reached without a model.

    Each domain has the players "random", "scratch", "carry" and "known": random answers, good play that carries nothing from task to task,
    the same play that carries all that it has seen, and good play that knows all that is hidden.
    """

    levels: Mapping[str, int]  # the most answers in an attempt, by level
    make_pack: Callable[[str, Wording, Split, int, int], Pack]  # level, wording, split, number of the pack, number of its tasks
    make_game: Callable[[str, Wording, Pack], Game]
    players: Mapping[str, PlayPack]
    expected: Mapping[Wording, str]  # the form of an answer, for people and for feedback
    has_form: Callable[[str], bool]  # whether an answer in the terse wording has the expected form
    vocabularies: Mapping[str, Vocabulary] = field(default_factory=dict)  # of the levels that can be played in words
    make_teacher: Callable[[str, Pack], Teacher] | None = None  # of a level, for the first task of a pack; None: there are no lessons
    write_true_notes: Callable[[Pack], str] | None = None  # of all that is hidden in a pack; None: nobody writes them
    # Replies of best play in text, one for each request of a loop over a pack, notes between the tasks; None: there is no such teacher.
    write_replies: Callable[[Wording, Pack], Iterator[str]] | None = None


def name_tasks(name: str, split: Split, number: int, tasks: int, describe: Callable[[int, int], str]) -> Pack:
    """Make a pack. `describe` returns the instruction of a task from its seed and its position."""
    seeds = [seed_of(split, name, number, position) for position in range(tasks)]
    described = (Task(f"{name}-{seed}", describe(seed, position), seed=seed) for position, seed in enumerate(seeds))
    return Pack(seed_of(split, name, number), tuple(described))
