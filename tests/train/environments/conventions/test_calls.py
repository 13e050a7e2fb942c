from statistics import fmean

import pytest

from codagent.types import Message
from codagent_train.environments.conventions.calls import MALFORMED, ConventionsAttempt, has_value, same_value
from codagent_train.environments.conventions.house import BY_NAME, RULES
from codagent_train.environments.domains.catalogue import DOMAINS
from codagent_train.environments.make import make_environment_pack
from codagent_train.recipe.schema import EnvironmentConfig

HOUSE = dict.fromkeys(RULES, 0)
CALLS = [(1, 4), (3, 0)]


def judged(reply, wording="terse"):
    attempt = ConventionsAttempt(HOUSE, BY_NAME["share"], CALLS, wording)
    attempt.act(reply)
    return attempt.judge()


def test_an_answer_says_for_each_call_what_it_returns():
    assert judged("0\nraises ValueError").passed
    assert judged("<answer>\n0\nraises ValueError\n</answer>", "paper").reward == 1.0
    half = judged("1\nraises ValueError")
    assert (half.reward, half.passed, half.failed) == (0.25, False, ("value",))
    assert half.feedback == "share(1, 4) expected 0 got 1\nshare(3, 0) expected raises ValueError got raises ValueError"


@pytest.mark.parametrize("reply", ["", "0", "0 and more\nraises ValueError", "I think 0\n1"])
def test_an_answer_of_another_form_costs(reply):
    assert (judged(reply).reward, judged(reply).failed) == (MALFORMED, ("form",))


def test_values_are_compared_and_not_how_they_are_written():
    assert same_value("{'a': '1'}", '{"a": "1"}')
    assert not same_value("raises KeyError", "'raises KeyError'")
    assert [has_value(line) for line in ("raises KeyError", "raises", "[1, 2", "f(x)", "'a'")] == [True, False, False, False, True]


def test_the_environment_plays_a_pack():
    pack, open_environment = make_environment_pack(EnvironmentConfig("conventions"), "test", 1)
    environment = open_environment()
    system, asked = environment.reset(pack.tasks[0], "")
    assert "rules of its own" in system.content
    assert asked.content == pack.tasks[0].instruction
    assert environment.step(Message("assistant", "no idea")).end == "finished"
    assert environment.grade().reward == MALFORMED


def test_who_knows_the_rules_solves_all_and_who_guesses_next_to_none():
    domain = DOMAINS["conventions"]
    packs = [domain.make_pack("easy", "terse", "test", number, 4) for number in range(300)]
    passed = {name: [fmean(score.passed for score in scores) for scores in zip(*(play("easy", pack) for pack in packs), strict=True)]
              for name, play in domain.players.items()}  # fmt: skip
    assert passed["known"] == [1.0] * 4
    assert max(passed["scratch"]) < 0.1
    assert max(passed["random"]) < 0.1
    assert passed["carry"][0] < 0.1 < passed["carry"][1] < passed["carry"][2] < 0.7 < passed["carry"][3]
