"""Chooses what each pack of a step teaches, by the weights of the recipe's sources. Does not import torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from msgspec import structs

from codagent.agent.loop import NotesIO
from codagent.text import count
from codagent.types import Loop
from codagent_train.data.redo import NOBODY, Operator, Redo, find_redoable
from codagent_train.data.replay import Replay
from codagent_train.data.samples import LoopKey, Source, key_loops
from codagent_train.data.supervised.imitation import Imitation, count_examples
from codagent_train.data.supervised.lessons import Lessons
from codagent_train.data.supervised.teacher import teacher_loops
from codagent_train.environments.packs import seed_of
from codagent_train.policy.tokenizer import Tokenizer
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.specs import RolloutSpec, group_specs, policy_id


class Mixture:
    """The sources of a run. Records are read in the first step that has a pack of their source."""

    def __init__(self, recipe: Recipe, out: Path, tokenizer: Tokenizer, *, vocabulary_size: int, operator: Operator = NOBODY) -> None:
        """`out` is the folder of the run. Recorded replies with a token id of `vocabulary_size` or above are not replayed."""
        self._recipe, self._tokenizer = recipe, tokenizer
        self._redo = Redo(recipe, operator)
        self._replay = Replay(recipe, out, vocabulary_size=vocabulary_size)
        self._imitation = Imitation(recipe, out, tokenizer, operator.say)
        self._lessons = Lessons(recipe, tokenizer)

    def specs(self, packs: Sequence[int], step: int) -> dict[LoopKey, RolloutSpec]:
        """Return the loops that the policy has to play in this step, for the sources "play" and "redo".

        Raises UsageError when there is a pack for "redo" and no record of a task that can be done again.
        """
        chosen, policy = packs_by_source(self._recipe, packs), policy_id(self._recipe, step)
        played = group_specs(self._recipe, chosen["play"], step=step, policy=policy)
        redone = self._redo.group_specs(chosen["redo"], step=step, policy=policy)
        specs = key_loops("play", played) | key_loops("redo", redone)
        if self._recipe.credit.notes_baseline == "without_notes":
            specs |= key_loops("without_notes", {number: list(map(_without_notes, group)) for number, group in played.items()})
        return specs

    def collect_recorded(self, packs: Sequence[int], step: int) -> dict[LoopKey, Loop]:
        """Return the loops of the other sources, which the policy does not play: "replay", "teacher", "lessons" and "imitate".

        Raises UsageError when there is a pack for a source that has no usable record.
        """
        chosen = packs_by_source(self._recipe, packs)
        replayed = self._replay.groups(chosen["replay"], step)
        taught = teacher_loops(self._recipe, chosen["teacher"], self._tokenizer)
        given = self._lessons.groups(chosen["lessons"])
        imitated = self._imitation.groups(chosen["imitate"])
        by_source: dict[Source, dict[int, list[Loop]]] = {"replay": replayed, "teacher": taught, "lessons": given, "imitate": imitated}
        return {key: loop for source, groups in by_source.items() for key, loop in key_loops(source, groups).items()}


def _without_notes(spec: RolloutSpec) -> RolloutSpec:
    """Return the spec of a loop over the same tasks that neither writes notes nor is given any."""
    return replace(spec, loop=replace(spec.loop, id=f"{spec.loop.id}-plain"), notes_io=NotesIO("never", lambda _: ""))


def packs_by_source(recipe: Recipe, packs: Sequence[int]) -> dict[Source, list[int]]:
    """Draw a source for each pack by the recipe's weights. A pack has the same source in every run with the recipe's seed."""
    weights: dict[Source, float] = structs.asdict(recipe.sources)  # type: ignore[assignment]  # its fields are the sources
    chosen: dict[Source, list[int]] = {source: [] for source in weights}
    for number in packs:
        draw = Random(seed_of("train", "source", recipe.seed, number))  # noqa: S311
        chosen[draw.choices(list(weights), list(weights.values()))[0]].append(number)
    return chosen


def describe_uses(folders: Sequence[Path]) -> str:
    """Describe, in lines for a person, what recorded loops can be used for beside replay."""
    attempts, notes = count_examples(folders)
    tasks = len(find_redoable(folders)[0])
    redo, imitate = count(tasks, "task"), count(attempts, "attempt")
    return f"redo     {redo} that can be done again\nimitate  {imitate} and {count(notes, 'rewrite')} of notes that are worth imitating"
