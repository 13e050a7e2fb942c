"""Attempts at Alchemy-Random, in both wordings, and how well it can be played."""

from statistics import fmean

import pytest

from codagent.types import Message
from codagent_train.environments.domains.alchemy.crafting import AlchemyGame, make_alchemy_pack
from codagent_train.environments.domains.alchemy.recipes import LEVELS, draw_world, name_elements
from codagent_train.environments.domains.shared.turns import TurnEnvironment
from tests.train.environments.domains.reached import mean_rewards


def opened(level="fresh", wording="terse", number=1, tasks=4):
    pack = make_alchemy_pack(level, wording, "test", number, tasks)
    return pack, TurnEnvironment(AlchemyGame(level, wording, pack), wording)


def say(environment, text):
    return environment.step(Message("assistant", text))


def test_the_first_sight_has_tiers_target_and_round():
    pack, environment = opened()
    system, user = environment.reset(pack.tasks[0], "a+b=g")
    assert system.content.endswith("Answer: a+b.\nNotes: a+b=g")
    tiers = user.content.split(" | ")
    assert tiers[0].startswith("a b c d e")
    assert user.content.count("*") == 1
    assert tiers[-1] == "1/10"
    assert pack.tasks[0].instruction == f"Make {user.content[user.content.index('*') - 1]}."


def test_pairs_are_tried_and_told():
    pack, environment = opened()
    environment.reset(pack.tasks[0], "")
    world = draw_world(LEVELS["fresh"], pack.seed, 4)
    names = name_elements(world, pack.seed, "terse")
    (first, second), made = next((pair, made) for pair, made in world.recipes.items() if made not in world.targets)
    shown = say(environment, f"{names[first]}+{names[second]} as I guess").messages[0].content
    if world.tier(first) == 0:
        assert shown.endswith(f"2/10; {names[first]}+{names[second]}={names[made]}")
    assert "not in stock" in say(environment, "a+z").messages[0].content
    nothing = next((a, b) for a in world.real[0] for b in world.real[0] if a <= b and (a, b) not in world.recipes)
    assert say(environment, "+".join(names[element] for element in nothing)).messages[0].content.endswith(" no")


@pytest.mark.parametrize("reply", ["", "a b", "ab+c", "a+b+c", "try a+b", "a+bc", "A+B"])
def test_an_answer_of_another_form_loses(reply):
    pack, environment = opened()
    environment.reset(pack.tasks[0], "")
    assert say(environment, reply).end == "finished"
    outcome = environment.grade()
    assert (outcome.reward, outcome.passed, outcome.failed) == (0.0, False, ("form",))
    assert "Expected: a+b" in outcome.feedback


@pytest.mark.parametrize(
    "reply", ["a + b", "<answer>a</answer>", "<answer>a + b + c</answer>", "<answer>a + b</answer><answer>a + b</answer>"]
)
def test_in_the_papers_wording_the_tags_are_needed(reply):
    pack, environment = opened(wording="paper")
    environment.reset(pack.tasks[0], "")
    assert say(environment, reply).end == "finished"


def test_in_the_papers_wording_names_may_have_any_case():
    pack, environment = opened(wording="paper", level="hard", tasks=8)
    shown = environment.reset(pack.tasks[0], "")[1].content
    names = shown.split("Stock: ")[1].split(", ")
    first = names[0].split(" x ")[0]
    answered = say(environment, f"I try <answer> {first.upper()}+{first} </answer>").messages[0].content
    assert f"{first} + {first} gave" in answered
    assert "Round 2/15" in answered
    assert "not in stock" in say(environment, f"<answer>{first} + nosuch</answer>").messages[0].content


def test_a_known_recipe_makes_the_target_and_ends():
    for number in range(20):
        pack, environment = opened(number=number)
        world = draw_world(LEVELS["fresh"], pack.seed, 4)
        names = name_elements(world, pack.seed, "terse")
        position = next((position for position, target in enumerate(world.targets) if world.tier(target) == 1), None)
        if position is None:
            continue
        environment.reset(pack.tasks[position], "")
        first, second = world.pairs_for(world.targets[position])[0]
        assert say(environment, f"{names[first]}+{names[second]}").end == "finished"
        outcome = environment.grade()
        assert (outcome.reward, outcome.passed, outcome.failed) == (pytest.approx(0.99), True, ())
        assert outcome.feedback.endswith("was made in 1 of 10 rounds.")


def test_rounds_run_out():
    pack, environment = opened("easy")
    environment.reset(pack.tasks[0], "")
    ends = [say(environment, "y+z").end for _ in range(8)]
    assert ends == [None] * 7 + ["steps"]
    assert "8 of 8 rounds" in environment.grade().feedback


def test_a_task_given_again_keeps_its_target():
    pack, environment = opened()
    assert environment.reset(pack.tasks[2], "")[1] == environment.reset(pack.tasks[2], "")[1]


@pytest.mark.parametrize(
    ("level", "known", "carried"), [("easy", 0.978, (0.75, 0.85)), ("fresh", 0.98, (0.24, 0.70)), ("hard-fair", 0.98, (0.22, 0.58))]
)
def test_what_can_be_reached_without_a_model(level, known, carried):
    means = mean_rewards("alchemy", level, packs=200, tasks=4)
    assert fmean(means["known"]) == pytest.approx(known, abs=0.02)
    assert means["random"][0] < means["scratch"][0]
    assert means["carry"][0] > carried[0]
    assert means["carry"][3] > carried[1]
    assert max(means["scratch"]) - min(means["scratch"]) < 0.15
