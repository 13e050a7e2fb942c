"""What the packs of a step teach, each by the source that the recipe's weights drew for it. Knows nothing of torch.

Loops that are played, replayed or done again are compared with each other within their group; others are imitated, word for word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from msgspec import structs

from codagent.errors import UsageError
from codagent.types import Loop, Profile
from codagent_train.data import imitation
from codagent_train.data.records.files import join_reasons
from codagent_train.data.redo import Redo, find_redoable
from codagent_train.data.replay import Replay, policy_aliases
from codagent_train.data.teacher import play_as_teacher
from codagent_train.environments.frozenlake.environment import FrozenLake
from codagent_train.environments.make import make_pack
from codagent_train.environments.packs import seed_of
from codagent_train.policy.tokenizer import Tokenizer
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.specs import PACK_STRIDE, RolloutSpec, agent_profile, group_specs

Group = list[Loop]
Play = Callable[[Sequence[Sequence[RolloutSpec]], Profile], list[Group]]


@dataclass(frozen=True, slots=True)
class StepLoops:
    """What a step learns from, by source: groups that are compared, loops that are imitated."""

    compared: Mapping[str, list[Group]]
    imitated: Mapping[str, list[Loop]]


class Mixture:
    """All that a run learns from. What is recorded is read where the first step that asks for it is; ids are below `vocabulary_size`."""

    def __init__(self, recipe: Recipe, out: Path, tokenizer: Tokenizer, *, vocabulary_size: int, say: Callable[[str], None]) -> None:
        self._recipe, self._out, self._tokenizer, self._say = recipe, out, tokenizer, say
        self._replay = Replay(recipe, out, vocabulary_size=vocabulary_size)
        self._redo = Redo(recipe, say)
        self._examples: Sequence[Loop] = ()

    def collect(self, packs: Sequence[int], *, step: int, policy: str, play: Play) -> StepLoops:
        """What these packs teach in a step in which the policy of that name can `play`. UsageError when there is nothing of a source."""
        packs_of, recipe = packs_by_source(self._recipe, packs), self._recipe
        with self._redo.groups(packs_of["redo"], step=step, policy=policy) as open_groups:
            redone = [group for specs, profile in open_groups for group in play([specs], profile)]
        compared = {
            "play": play(group_specs(recipe, packs_of["play"], step=step, policy=policy), agent_profile(recipe)),
            "redo": redone,
            "replay": self._replay.groups(packs_of["replay"], step),
        }
        return StepLoops(
            compared,
            {"teacher": teacher_loops(recipe, packs_of["teacher"], self._tokenizer), "imitate": self._imitation_loops(packs_of["imitate"])},
        )

    def _imitation_loops(self, packs: Sequence[int]) -> list[Loop]:
        """As many recorded examples as the policy would play loops."""
        recipe = self._recipe
        if packs and not self._examples:
            folders = [Path(folder) for folder in recipe.records.folders]
            aliases = policy_aliases(recipe, self._out)
            self._examples, rejections = imitation.find_examples(
                folders, self._tokenizer, aliases, context_tokens=recipe.replies.context_tokens
            )
            if not self._examples:
                raise UsageError(f"no record in {', '.join(recipe.records.folders)} has anything to imitate: {join_reasons(rejections)}")
            self._say(f"{len(self._examples)} recorded loops are worth imitating, {len(rejections)} are not")
        draws = [Random(seed_of("train", "imitate", recipe.seed, number)) for number in packs]  # noqa: S311
        return [draw.choice(self._examples) for draw in draws for _ in range(recipe.batch.group_size)]


def describe_uses(folders: Sequence[Path]) -> str:
    """What recorded loops serve for beside replay, in lines for a person."""
    attempts, notes = imitation.count_examples(folders)
    tasks = len(find_redoable(folders)[0])
    return f"redo     {tasks} tasks that can be done again\nimitate  {attempts} attempts and {notes} notes worth imitating"


def packs_by_source(recipe: Recipe, packs: Sequence[int]) -> dict[str, list[int]]:
    """The packs that are learned from in each way that the recipe weighs."""
    weights = structs.asdict(recipe.sources)
    packs_of: dict[str, list[int]] = {name: [] for name in weights}
    for number in packs:
        draw = Random(seed_of("train", "source", recipe.seed, number))  # noqa: S311
        packs_of[draw.choices(list(weights), list(weights.values()))[0]].append(number)
    return packs_of


def teacher_loops(recipe: Recipe, packs: Sequence[int], tokenizer: Tokenizer) -> list[Loop]:
    """What the teacher plays: as many loops as the policy would, each over a pack of its own, for it plays a pack always alike."""
    loops = []
    for number in (recipe.batch.group_size * pack + member for pack in packs for member in range(recipe.batch.group_size)):
        pack, environment = make_pack(recipe, "train", recipe.seed * PACK_STRIDE + number)
        lakes = environment()
        assert isinstance(lakes, FrozenLake)
        loop = Loop(f"lesson-{number}", f"lesson-{number}", f"frozenlake-{pack.seed}", "teacher", "")
        loops.append(play_as_teacher(tokenizer, lakes, pack.tasks, loop, agent_profile(recipe)))
    return loops
