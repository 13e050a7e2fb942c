"""Packs of the environment that a recipe names, or of one of several."""

from collections import Counter

import pytest
from msgspec.structs import replace

from codagent_train.environments.domains.shared.turns import TurnEnvironment
from codagent_train.environments.frozenlake.words import VOCABULARY
from codagent_train.environments.keycode import Keycode
from codagent_train.environments.make import choose_environment, find_vocabulary, make_pack, max_turns, vocabulary_of
from codagent_train.recipe.environment_config import LEVELS_OF, EnvironmentConfig
from codagent_train.recipe.schema import read_recipe

MIXED = replace(
    read_recipe("toy"), mixed_with=(EnvironmentConfig("control", "hard", weight=2.0), EnvironmentConfig("alchemy", "fresh", tasks=3))
)


def test_the_environment_of_a_pack_is_drawn_by_weight():
    drawn = Counter(choose_environment(MIXED, "train", number).name for number in range(2000))
    assert {name: round(count / 2000, 1) for name, count in drawn.items()} == {"keycode": 0.2, "control": 0.5, "alchemy": 0.2}


def test_a_pack_has_the_same_environment_whenever_it_is_made():
    for number in range(30):
        config = choose_environment(MIXED, "train", number)
        pack, environment = make_pack(MIXED, "train", number)
        assert pack == make_pack(MIXED, "train", number)[0]
        assert len(pack.tasks) == config.tasks
        assert isinstance(environment(), Keycode if config.name == "keycode" else TurnEnvironment)


def test_one_environment_alone_is_always_chosen():
    assert {choose_environment(read_recipe("toy"), "test", number).name for number in range(20)} == {"keycode"}


@pytest.mark.parametrize("name", LEVELS_OF)
def test_every_level_can_be_played_and_has_a_bound_of_turns(name):
    for level in LEVELS_OF[name]:
        config = EnvironmentConfig(name, level, tasks=2)
        pack, environment = make_pack(replace(read_recipe("smoke"), environment=config), "test", 0)
        messages = environment().reset(pack.tasks[1], "my notes")
        assert "my notes" in messages[0].content
        assert max_turns(config) >= 1


LAKE = read_recipe("lake")


@pytest.mark.parametrize("tasks", [1, 2, 4])
def test_ralph_packing_is_the_first_task_again_and_again(tasks):
    several = replace(LAKE, environment=replace(LAKE.environment, tasks=tasks))
    ralph = replace(several, environment=replace(several.environment, packing="ralph"))
    first, again = make_pack(several, "train", 5)[0], make_pack(ralph, "train", 5)[0]
    assert again.tasks == first.tasks[:1] * tasks
    assert again.seed == first.seed


def test_the_rules_ask_for_a_length_of_their_own_where_the_recipe_has_one():
    paper = read_recipe("paper")
    texts = []
    for recipe in (paper, replace(paper, replies=replace(paper.replies, asked_tokens=0))):
        pack, environment = make_pack(recipe, "train", 0)
        texts.append(environment().reset(pack.tasks[0], "")[0].content)
    assert ["within 1000 tokens" in texts[0], "within 2000 tokens" in texts[1]] == [True, True]


def test_a_closed_vocabulary_is_known_by_its_environment_and_by_its_words():
    assert vocabulary_of(LAKE.environment) is VOCABULARY
    assert vocabulary_of(read_recipe("toy").environment) is vocabulary_of(read_recipe("paper").environment) is None
    assert find_vocabulary(reversed(VOCABULARY.words)) is VOCABULARY
    assert find_vocabulary(VOCABULARY.words[1:]) is find_vocabulary(()) is None
