"""The packs that a recipe names."""

import pytest
from msgspec.structs import replace

from codagent_train.environments.frozenlake.words import VOCABULARY
from codagent_train.environments.make import find_vocabulary, make_pack, vocabulary_of
from codagent_train.recipe.schema import read_recipe

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
