"""What is to be played: the loops of packs, each with its own seed, that all follow from a recipe and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codagent.agent.loop import NotesIO
from codagent.types import Environment, Loop, Profile, Sampling, Task
from codagent_train.environments.make import drawn
from codagent_train.environments.packs import seed_of
from codagent_train.recipe.schema import Recipe

APART = 1_000_000  # between the first packs of two seeds


@dataclass(frozen=True, slots=True)
class Start:
    """A loop that is to be played: its tasks, where, the seed that its replies draw on, and how notes come from task to task."""

    loop: Loop
    environment: Environment
    tasks: tuple[Task, ...]
    seed: int
    notes_io: NotesIO = NotesIO("between")


def groups(recipe: Recipe, packs: Sequence[int], *, step: int, policy: str) -> list[list[Start]]:
    """A group for each training pack. Of two runs with different seeds, packs of the same number are different ones."""
    found = []
    for number in packs:
        pack, environment = drawn(recipe, "train", recipe.seed * APART + number)
        name = f"{recipe.environment.name}-{pack.seed}"
        group = []
        for member in range(recipe.batch.loops):
            loop = Loop(f"{step}-{number}-{member}", f"{step}-{number}", name, policy, "")
            seed = seed_of("train", "replies", recipe.seed, step, number, member)
            group.append(Start(loop, environment(), pack.tasks, seed))
        found.append(group)
    return found


def profile(recipe: Recipe) -> Profile:
    """How the policy is worked with. No temperature: that would rise with the position."""
    replies, place = recipe.replies, recipe.environment
    return Profile(
        prompt="system" if place.form == "paper" or place.name == "keycode" else "terse",
        sampling=Sampling(max_tokens=replies.max_tokens),
        notes_tokens=replies.notes_tokens,
        context_tokens=replies.context_tokens,
    )
