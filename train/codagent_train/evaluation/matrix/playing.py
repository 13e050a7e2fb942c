"""Plays the packs of a column with a checkpoint, under one condition, and keeps of each loop what the cells need.

The seeds of replies follow from the column, the pack and the number of the loop. So all checkpoints and all conditions are compared on the
same packs and the same random draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

from codagent.agent.loop import NotesIO
from codagent.protocols import Environment, ignore_text
from codagent.text import BYTES_PER_TOKEN
from codagent.types import Episode, Loop, Profile
from codagent_train.data.credit import episode_rewards
from codagent_train.environments.make import hidden_part, make_environment_pack, write_true_notes
from codagent_train.environments.packs import seed_of
from codagent_train.evaluation.loops import Say, play_loops
from codagent_train.evaluation.matrix.raw_history import RawHistory
from codagent_train.evaluation.matrix.spec import ColumnConfig, Condition
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.rollout import Rollout, rollout
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import RolloutSpec, agent_profile, open_in_memory

_HISTORY_SHARE = 2  # a raw history may fill one part in so many of the context


@dataclass(frozen=True, slots=True)
class PlayedLoop:
    """What a cell needs of a loop. Tuples have an entry for each task."""

    rewards: tuple[float, ...]
    passed: tuple[bool, ...]
    malformed: tuple[bool, ...]  # whether an answer had not the expected form
    reply_tokens: tuple[float, ...]  # of a reply, on average
    notes: tuple[str, ...]  # that each attempt began with
    notes_tokens: tuple[int, ...]  # of each rewrite
    notes_malformed: tuple[bool, ...]


PlayedPacks = dict[int, tuple[PlayedLoop, ...]]  # by the number of the pack; loops that were broken off are left out
GivenNotes = dict[int, tuple[tuple[str, ...], ...]]  # by the number of the pack: notes of loops, position by position


@dataclass(frozen=True, slots=True)
class MatrixPlayer:
    """A checkpoint that is ready to play."""

    sampler: Sampler
    recipe: Recipe
    play_loops: Rollout = rollout
    say: Say = ignore_text  # gets lines of progress

    def play(self, column: ColumnConfig, size: tuple[int, int], condition: Condition, given: GivenNotes) -> PlayedPacks:
        """Play `size` packs and loops. `given` holds the notes for the conditions that give notes; packs without are left out."""
        profile = agent_profile(self.recipe, column.config)
        specs = [
            spec
            for number in range(size[0])
            for spec in _pack_specs(
                self.recipe, column, number, [(profile, io) for io in _notes_of(condition, size[1], given.get(number, ()))]
            )
        ]
        if condition == "raw":
            specs = [_with_history(spec) for spec in specs]
        played: dict[int, list[PlayedLoop]] = {}
        loops = play_loops(self.play_loops, self.sampler, specs, _summarise, self.say, f"{self.sampler.policy} on {column}: {condition}")
        for spec, loop in zip(specs, loops, strict=True):
            if loop:
                played.setdefault(int(spec.loop.group), []).append(loop)
        return {number: tuple(loops) for number, loops in played.items()}


def shuffle_packs(column: ColumnConfig, played: PlayedPacks) -> PlayedPacks:
    """Give each pack the loops of the next pack in which something else is hidden. A pack is left out when there is none."""
    hidden = {number: hidden_part(column.config, make_environment_pack(column.config, "test", number)[0]) for number in played}
    numbers = list(played)
    others = {
        number: next((other for other in numbers[index + 1 :] + numbers[:index] if hidden[other] != hidden[number]), None)
        for index, number in enumerate(numbers)
    }
    return {number: played[other] for number, other in others.items() if other is not None}


def true_notes(column: ColumnConfig, packs: int) -> GivenNotes:
    """Return true notes for each pack, the same at each position. Empty where the environment cannot write them."""
    notes: GivenNotes = {}
    for number in range(packs):
        text = write_true_notes(column.config, make_environment_pack(column.config, "test", number)[0])
        if text is not None:
            notes[number] = ((text,) * column.tasks,)
    return notes


def written_notes(played: PlayedPacks) -> GivenNotes:
    """Return the notes that loops had."""
    return {number: tuple(loop.notes for loop in loops) for number, loops in played.items()}


def _notes_of(condition: Condition, loops: int, given: Sequence[Sequence[str]]) -> list[NotesIO]:
    """Return when and with what notes each loop of a pack is played."""
    if condition == "own":
        return [NotesIO("between")] * loops
    if condition in ("none", "raw"):
        return [NotesIO("never", lambda _: "")] * loops
    return [_given_notes(given[member % len(given)]) for member in range(loops)] if given else []


def _given_notes(notes: Sequence[str]) -> NotesIO:
    """Give these notes, position by position. Serves one loop."""
    rest = iter(notes)
    return NotesIO("never", lambda _: next(rest))


def _pack_specs(recipe: Recipe, column: ColumnConfig, number: int, played: Sequence[tuple[Profile, NotesIO]]) -> list[RolloutSpec]:
    pack, environment = make_environment_pack(column.config, "test", number, tokens=recipe.replies.max_tokens)
    label, specs = column.config.label, []
    for member, (profile, notes_io) in enumerate(played):
        loop = Loop(f"{number}-{member}", str(number), f"{label}-{pack.seed}", "", "")
        seed = seed_of("test", "replies", label, column.tasks, column.packing, number, member)
        specs.append(RolloutSpec(loop, profile, partial(open_in_memory, environment), pack.tasks, seed, notes_io, in_process=True))
    return specs


def _with_history(spec: RolloutSpec) -> RolloutSpec:
    max_bytes = spec.profile.context_tokens * BYTES_PER_TOKEN // _HISTORY_SHARE

    def open_with_history() -> Environment:
        with spec.environment() as inner:
            return RawHistory(inner, max_bytes)

    return replace(spec, environment=partial(open_in_memory, open_with_history))


def _summarise(loop: Loop) -> PlayedLoop | None:
    """Return what is kept of a loop; None for one that was broken off."""
    if not episode_rewards(loop):
        return None
    attempts, rewrites = loop.attempts, [episode for episode in loop.episodes if episode.kind == "notes"]
    outcomes = [episode.outcome for episode in attempts if episode.outcome]
    return PlayedLoop(
        rewards=tuple(outcome.reward for outcome in outcomes),
        passed=tuple(outcome.passed for outcome in outcomes),
        malformed=tuple("form" in outcome.failed for outcome in outcomes),
        reply_tokens=tuple(map(_mean_tokens, attempts)),
        notes=tuple(episode.notes_before for episode in attempts),
        notes_tokens=tuple(sum(step.reply.completion_tokens for step in episode.steps) for episode in rewrites),
        notes_malformed=tuple(not episode.outcome.passed for episode in rewrites if episode.outcome),
    )


def _mean_tokens(episode: Episode) -> float:
    return fmean(step.reply.completion_tokens for step in episode.steps) if episode.steps else 0.0
