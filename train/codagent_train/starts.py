"""What is to be played: the loops of packs, each with its own seed, that all follow from a recipe and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from codagent.types import Environment, Loop, Profile, Sampling
from codagent_train.environments import frozenlake, keycode
from codagent_train.environments.lakes import EASY, HARD, SMALL
from codagent_train.environments.packs import Pack, Split, seed_of
from codagent_train.recipe import Recipe
from codagent_train.rollout import Start

APART = 1_000_000  # between the first packs of two seeds
LEVELS = {"small": SMALL, "easy": EASY, "hard": HARD}
FORMS = {"brief": frozenlake.BRIEF, "terse": frozenlake.TERSE, "paper": frozenlake.PAPER}


def drawn(recipe: Recipe, split: Split, number: int) -> tuple[Pack, Callable[[], Environment]]:
    """Pack number `number` of a split, and what makes its environment anew."""
    place = recipe.environment
    if place.name == "keycode":
        found = keycode.pack(split, number, tasks=place.tasks)
        return found, partial(keycode.Keycode, found.seed)
    level, form = LEVELS[place.level], FORMS[place.form]
    found = frozenlake.pack(level, split, number, tasks=place.tasks, form=form)
    return found, partial(frozenlake.FrozenLake, level, found.seed, form, tokens=recipe.replies.max_tokens)


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
