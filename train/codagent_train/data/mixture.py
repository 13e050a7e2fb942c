"""Chooses what each pack of a step teaches, by the weights of the recipe's sources. Does not import torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random

from codagent.errors import UsageError
from codagent.types import Loop
from codagent_train.data import imitation
from codagent_train.data.records.files import join_reasons
from codagent_train.data.redo import Redo, find_redoable
from codagent_train.data.replay import Replay, policy_aliases
from codagent_train.data.samples import LoopKey, Source, key_loops
from codagent_train.data.teacher import play_as_teacher
from codagent_train.environments.frozenlake.environment import FrozenLake
from codagent_train.environments.make import make_pack
from codagent_train.environments.packs import seed_of
from codagent_train.policy.tokenizer import Tokenizer
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.specs import PACK_STRIDE, RolloutSpec, agent_profile, group_specs, policy_id
from codagent_train.run_dir.weights_ref import resolve


class Mixture:
    """The sources of a run. Records are read in the first step that has a pack of their source."""

    def __init__(self, recipe: Recipe, out: Path, tokenizer: Tokenizer, *, vocabulary_size: int, say: Callable[[str], None]) -> None:
        """`out` is the folder of the run. Recorded replies with a token id of `vocabulary_size` or above are not replayed."""
        self._recipe, self._out, self._tokenizer, self._say = recipe, out, tokenizer, say
        self._replay = Replay(recipe, out, vocabulary_size=vocabulary_size)
        self._redo = Redo(recipe, say)
        self._examples: Sequence[Loop] = ()

    def specs(self, packs: Sequence[int], step: int) -> dict[LoopKey, RolloutSpec]:
        """Return the loops that the policy has to play in this step, for the sources "play" and "redo".

        Raises UsageError when there is a pack for "redo" and no record of a task that can be done again.
        """
        chosen, policy = packs_by_source(self._recipe, packs), policy_id(self._recipe, step)
        played = group_specs(self._recipe, chosen["play"], step=step, policy=policy)
        redone = self._redo.group_specs(chosen["redo"], step=step, policy=policy)
        return key_loops("play", played) | key_loops("redo", redone)

    def recorded(self, packs: Sequence[int], step: int) -> dict[LoopKey, Loop]:
        """Return the loops of the other sources, which the policy does not play: "replay", "teacher" and "imitate".

        Raises UsageError when there is a pack for a source that has no usable record.
        """
        chosen = packs_by_source(self._recipe, packs)
        replayed = self._replay.groups(chosen["replay"], step)
        taught = teacher_loops(self._recipe, chosen["teacher"], self._tokenizer)
        imitated = self._imitation_loops(chosen["imitate"])
        return key_loops("replay", replayed) | key_loops("teacher", taught) | key_loops("imitate", imitated)

    def _imitation_loops(self, packs: Sequence[int]) -> dict[int, list[Loop]]:
        """Draw recorded examples for each pack, as many as the policy would play loops."""
        recipe = self._recipe
        if packs and not self._examples:
            folders = [Path(folder) for folder in recipe.records.folders]
            aliases = policy_aliases(resolve(recipe.policy.weights), self._out)
            self._examples, rejections = imitation.find_examples(
                folders, self._tokenizer, aliases, context_tokens=recipe.replies.context_tokens
            )
            if not self._examples:
                raise UsageError(f"no record in {', '.join(recipe.records.folders)} has anything to imitate: {join_reasons(rejections)}")
            self._say(f"{len(self._examples)} recorded loops are worth imitating, {len(rejections)} are not")
        draws = {number: Random(seed_of("train", "imitate", recipe.seed, number)) for number in packs}  # noqa: S311
        return {number: [draw.choice(self._examples) for _ in range(recipe.batch.group_size)] for number, draw in draws.items()}


def describe_uses(folders: Sequence[Path]) -> str:
    """Describe, in lines for a person, what recorded loops can be used for beside replay."""
    attempts, notes = imitation.count_examples(folders)
    tasks = len(find_redoable(folders)[0])
    return f"redo     {tasks} tasks that can be done again\nimitate  {attempts} attempts and {notes} notes worth imitating"


def packs_by_source(recipe: Recipe, packs: Sequence[int]) -> dict[Source, list[int]]:
    """Draw a source for each pack by the recipe's weights. A pack has the same source in every run with the recipe's seed."""
    weights: dict[Source, float] = asdict(recipe.sources)  # type: ignore[assignment]  # its fields are the sources
    chosen: dict[Source, list[int]] = {source: [] for source in weights}
    for number in packs:
        draw = Random(seed_of("train", "source", recipe.seed, number))  # noqa: S311
        chosen[draw.choices(list(weights), list(weights.values()))[0]].append(number)
    return chosen


def teacher_loops(recipe: Recipe, packs: Sequence[int], tokenizer: Tokenizer) -> dict[int, list[Loop]]:
    """Let the teacher play for each pack as many loops as the policy would.

    The teacher plays a pack the same way each time. Each of its loops is therefore played over another pack of the training split.
    """
    size, profile = recipe.batch.group_size, agent_profile(recipe)
    groups = {}
    for number in packs:
        group = []
        for lesson in range(size * number, size * (number + 1)):
            pack, environment = make_pack(recipe, "train", recipe.seed * PACK_STRIDE + lesson)
            lakes = environment()
            assert isinstance(lakes, FrozenLake)
            loop = Loop(f"lesson-{lesson}", f"lesson-{lesson}", f"frozenlake-{pack.seed}", "teacher", "")
            group.append(play_as_teacher(tokenizer, lakes, pack.tasks, loop, profile))
        groups[number] = group
    return groups
