"""What is to be played: the loops of packs, each with its own seed, that all follow from a recipe and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codagent.agent.loop import NotesIO
from codagent.protocols import Environment
from codagent.types import Loop, Profile, Sampling, Task
from codagent_train.environments.make import make_pack
from codagent_train.environments.packs import seed_of
from codagent_train.recipe.schema import Recipe

PACK_STRIDE = 1_000_000  # between the first packs of two seeds


@dataclass(frozen=True, slots=True)
class RolloutSpec:
    """A loop that is to be played: its tasks, where, the seed that its replies draw on, and how notes come from task to task."""

    loop: Loop
    environment: Environment
    tasks: tuple[Task, ...]
    seed: int
    notes_io: NotesIO = NotesIO("between")


def group_specs(recipe: Recipe, packs: Sequence[int], *, step: int, policy: str) -> list[list[RolloutSpec]]:
    """A group for each training pack. Of two runs with different seeds, packs of the same number are different ones."""
    groups = []
    for number in packs:
        pack, environment = make_pack(recipe, "train", recipe.seed * PACK_STRIDE + number)
        name = f"{recipe.environment.name}-{pack.seed}"
        group = []
        for member in range(recipe.batch.group_size):
            loop = Loop(f"{step}-{number}-{member}", f"{step}-{number}", name, policy, "")
            seed = seed_of("train", "replies", recipe.seed, step, number, member)
            group.append(RolloutSpec(loop, environment(), pack.tasks, seed))
        groups.append(group)
    return groups


def agent_profile(recipe: Recipe) -> Profile:
    """How the policy is worked with. No temperature: that would rise with the position."""
    replies, environment = recipe.replies, recipe.environment
    return Profile(
        prompt="system" if environment.form == "paper" or environment.name == "keycode" else "terse",
        sampling=Sampling(max_tokens=replies.max_tokens),
        notes_tokens=replies.notes_tokens,
        context_tokens=replies.context_tokens,
    )
