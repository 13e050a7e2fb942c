"""The environment that a recipe names: a pack by its number, and what makes its environment anew."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from codagent.types import Environment
from codagent_train.environments import keycode
from codagent_train.environments.frozenlake.environment import FrozenLake, pack
from codagent_train.environments.frozenlake.rules import EASY, HARD, SMALL
from codagent_train.environments.frozenlake.wording import BRIEF, PAPER, TERSE
from codagent_train.environments.packs import Pack, Split
from codagent_train.recipe.schema import Recipe

LEVELS = {"small": SMALL, "easy": EASY, "hard": HARD}
FORMS = {"brief": BRIEF, "terse": TERSE, "paper": PAPER}


def drawn(recipe: Recipe, split: Split, number: int) -> tuple[Pack, Callable[[], Environment]]:
    """Pack number `number` of a split, and what makes its environment anew."""
    place = recipe.environment
    if place.name == "keycode":
        found = keycode.pack(split, number, tasks=place.tasks)
        return found, partial(keycode.Keycode, found.seed)
    level, form = LEVELS[place.level], FORMS[place.form]
    found = pack(level, split, number, tasks=place.tasks, form=form)
    return found, partial(FrozenLake, level, found.seed, form, tokens=recipe.replies.max_tokens)
