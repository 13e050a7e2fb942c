"""What the packs of a step teach, each by the source that the recipe's weights drew for it. Knows nothing of torch.

Loops that are played, replayed or done again are compared with each other within their group; others are imitated, word for word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from codagent.errors import UsageError
from codagent.types import Loop, Profile
from codagent_train.data import imitation
from codagent_train.data.records.files import reasons
from codagent_train.data.redo import Again, origins
from codagent_train.data.replay import Replay, known_as
from codagent_train.data.teacher import taught
from codagent_train.environments.frozenlake.environment import FrozenLake
from codagent_train.environments.make import drawn
from codagent_train.environments.packs import seed_of
from codagent_train.policy.tokenizer import Tokenizer
from codagent_train.recipe.schema import Recipe
from codagent_train.rollout.specs import APART, Start, groups, profile

Group = list[Loop]
Play = Callable[[Sequence[Sequence[Start]], Profile], list[Group]]


@dataclass(frozen=True, slots=True)
class Learned:
    """What a step learns from, by source: groups that are compared, loops that are imitated."""

    compared: Mapping[str, list[Group]]
    imitated: Mapping[str, list[Loop]]


class Sources:
    """All that a run learns from. What is recorded is read where the first step that asks for it is; `words`: ids are below that."""

    def __init__(self, recipe: Recipe, out: Path, tokenizer: Tokenizer, *, words: int, say: Callable[[str], None]) -> None:
        self._recipe, self._out, self._tokenizer, self._say = recipe, out, tokenizer, say
        self._replay = Replay(recipe, out, words=words)
        self._again = Again(recipe, say)
        self._examples: Sequence[Loop] = ()

    def learned(self, packs: Sequence[int], *, step: int, policy: str, play: Play) -> Learned:
        """What these packs teach in a step in which the policy of that name can `play`. UsageError when there is nothing of a source."""
        chosen, recipe = by_source(self._recipe, packs), self._recipe
        with self._again.groups(chosen["again"], step=step, policy=policy) as begun:
            done_again = [group for starts, worked_with in begun for group in play([starts], worked_with)]
        compared = {
            "play": play(groups(recipe, chosen["play"], step=step, policy=policy), profile(recipe)),
            "again": done_again,
            "replay": self._replay.groups(chosen["replay"], step),
        }
        return Learned(compared, {"teacher": lessons(recipe, chosen["teacher"], self._tokenizer), "warm": self._warm(chosen["warm"])})

    def _warm(self, packs: Sequence[int]) -> list[Loop]:
        """As many recorded examples as the policy would play loops."""
        recipe = self._recipe
        if packs and not self._examples:
            folders = [Path(folder) for folder in recipe.records.folders]
            known = known_as(recipe, self._out)
            self._examples, refused = imitation.examples(folders, self._tokenizer, known, context_tokens=recipe.replies.context_tokens)
            if not self._examples:
                raise UsageError(f"no record in {', '.join(recipe.records.folders)} has anything to imitate: {reasons(refused)}")
            self._say(f"{len(self._examples)} recorded loops are worth imitating, {len(refused)} are not")
        draws = [Random(seed_of("train", "warm", recipe.seed, number)) for number in packs]  # noqa: S311
        return [draw.choice(self._examples) for draw in draws for _ in range(recipe.batch.loops)]


def uses(folders: Sequence[Path]) -> str:
    """What recorded loops serve for beside replay, in lines for a person."""
    solved, noted = imitation.counted(folders)
    return f"again    {len(origins(folders)[0])} tasks that can be done again\nwarm     {solved} attempts and {noted} notes worth imitating"


def by_source(recipe: Recipe, packs: Sequence[int]) -> dict[str, list[int]]:
    """The packs that are learned from in each way that the recipe weighs."""
    weights = asdict(recipe.sources)
    found: dict[str, list[int]] = {name: [] for name in weights}
    for number in packs:
        draw = Random(seed_of("train", "source", recipe.seed, number))  # noqa: S311
        found[draw.choices(list(weights), list(weights.values()))[0]].append(number)
    return found


def lessons(recipe: Recipe, packs: Sequence[int], tokenizer: Tokenizer) -> list[Loop]:
    """What the teacher plays: as many loops as the policy would, each over a pack of its own, for it plays a pack always alike."""
    found = []
    for number in (recipe.batch.loops * pack + member for pack in packs for member in range(recipe.batch.loops)):
        pack, environment = drawn(recipe, "train", recipe.seed * APART + number)
        lakes = environment()
        assert isinstance(lakes, FrozenLake)
        loop = Loop(f"lesson-{number}", f"lesson-{number}", f"frozenlake-{pack.seed}", "teacher", "")
        found.append(taught(tokenizer, lakes, pack.tasks, loop, profile(recipe)))
    return found
