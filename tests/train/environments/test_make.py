"""Packs of the environment that a recipe names, or of one of several."""

from collections import Counter

import pytest
from msgspec.structs import replace

from codagent_train.environments.domains.turns import TurnEnvironment
from codagent_train.environments.keycode import Keycode
from codagent_train.environments.make import choose_environment, make_pack, max_turns
from codagent_train.recipe.schema import LEVELS_OF, EnvironmentConfig, read_recipe

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
