"""Make the packs of the environment that a recipe names."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from codagent.protocols import Environment
from codagent_train.environments import keycode
from codagent_train.environments.frozenlake import words
from codagent_train.environments.frozenlake.environment import FrozenLake, make_lake_pack
from codagent_train.environments.frozenlake.rules import EASY, HARD, SMALL
from codagent_train.environments.frozenlake.wording import BRIEF, PAPER, TERSE, WORDS
from codagent_train.environments.packs import Pack, Split
from codagent_train.environments.vocabulary import Vocabulary
from codagent_train.recipe.schema import EnvironmentConfig, Recipe

LEVELS = {"small": SMALL, "easy": EASY, "hard": HARD}
FORMS = {"brief": BRIEF, "terse": TERSE, "paper": PAPER, "words": WORDS}
VOCABULARIES: dict[tuple[str, str], Vocabulary] = {("frozenlake", "words"): words.VOCABULARY}  # by environment and form


def make_pack(recipe: Recipe, split: Split, number: int) -> tuple[Pack, Callable[[], Environment]]:
    """Return pack number `number` of a split, and a function that makes a fresh environment for it."""
    config = recipe.environment
    if config.name == "keycode":
        pack = keycode.make_keycode_pack(split, number, tasks=config.tasks)
        return pack, partial(keycode.Keycode, pack.seed)
    level, form = LEVELS[config.level], FORMS[config.form]
    pack = make_lake_pack(level, split, number, tasks=1 if config.packing == "ralph" else config.tasks, form=form)
    if config.packing == "ralph":
        pack = replace(pack, tasks=pack.tasks * config.tasks)
    return pack, partial(FrozenLake, level, pack.seed, form, tokens=recipe.replies.asked_tokens or recipe.replies.max_tokens)


def vocabulary_of(config: EnvironmentConfig) -> Vocabulary | None:
    """Return all words of an environment; None when it is told in sentences."""
    return VOCABULARIES.get((config.name, config.form))


def find_vocabulary(known: Collection[str]) -> Vocabulary | None:
    """Return the vocabulary that has just the words `known`; None when there is none, as for the tokenizer of a language model."""
    return next((vocabulary for vocabulary in VOCABULARIES.values() if set(vocabulary.words) == set(known)), None)
