"""What is asked for notes: the rules, the whole attempt, the result, and what is left out when that is too long."""

import pytest

from codagent.types import Episode, Message, Observation, Outcome, Reply, Sampling, Step, Task
from codagent_train.environments.frozenlake.environment import FrozenLake, make_lake_pack
from codagent_train.environments.frozenlake.rules import EASY
from codagent_train.environments.frozenlake.wording import BRIEF, PAPER, TERSE
from codagent_train.environments.notes_request import ask_for_notes


def turn(number, seen="nothing new"):
    reply = Reply(Message("assistant", f"answer {number} {'.' * 50}"), "stop", 1, 1, 0.0, None, Sampling(), "p", "")
    return Step(reply, Observation((Message("user", f"{seen} {number}"),)), 0.1)


def attempt(turns, **changes):
    prompt = (Message("system", "rules and notes"), Message("user", "the first state"))
    values = {"outcome": Outcome(0.95, True, "Well done."), "steps": tuple(turn(number) for number in range(1, turns + 1)), **changes}
    return Episode("solve", 0, Task("t", ""), "old ones", prompt, **values)


def asked(turns=3, *, max_bytes=10_000, **changes):
    return ask_for_notes("Write notes.", "The rules.", attempt(turns, **changes), "the last state", max_bytes=max_bytes)[1].content


def test_all_that_there_is_comes_in_order():
    parts = [
        "# Rules\nThe rules.",
        "# Notes so far\nold ones",
        "# The attempt\nTurn 1\nObservation: the first state\nAction: answer 1",
        "Turn 2\nObservation: nothing new 1\nAction: answer 2",
        "# After the last action\nthe last state",
        "# Reward\n0.950",
        "# Feedback\nWell done.",
    ]
    places = [asked().index(part) for part in parts]
    assert places == sorted(places)
    assert "rules and notes" not in asked()


@pytest.mark.parametrize(("turns", "room"), [(8, 700), (20, 900), (3, 380)])
def test_the_oldest_turns_are_left_out_whole_until_the_rest_fits(turns, room):
    text = asked(turns, max_bytes=room)
    left_out = int(text.partition("(turns 1 to ")[2].partition(" ")[0])
    assert 0 < left_out < turns
    assert f"Turn {left_out}\n" not in text
    assert all(f"Action: answer {number} {'.' * 50}" in text for number in range(left_out + 1, turns + 1))
    assert len(text.encode()) <= room + 40


def test_the_last_turn_stays_however_long_it_is():
    assert "Action: answer 3" in asked(max_bytes=1)
    assert "Turn 2\n" not in asked(max_bytes=1)


def test_an_attempt_that_was_not_judged_has_no_reward():
    assert "# Reward" not in asked(outcome=None)
    assert "# The attempt\n\n# After" in asked(0)


@pytest.mark.parametrize("form", [PAPER, TERSE, BRIEF])
def test_the_lake_asks_about_other_tasks_and_names_its_rules_without_notes(form):
    pack = make_lake_pack(EASY, "test", 3, form=form)
    lakes = FrozenLake(EASY, pack.seed, form, tokens=777)
    prompt = lakes.reset(pack.tasks[0], "an old note")
    lakes.step(Message("assistant", "no answer"))
    played = Episode("solve", 0, pack.tasks[0], "an old note", prompt, (turn(1),), "finished", outcome=lakes.grade())
    system, user = lakes.ask_for_notes(played, max_words=120, max_bytes=100_000)
    assert "code" not in system.content
    assert "120 words" in system.content
    assert "{" not in system.content + user.content
    assert user.content.count("an old note") == 1
    assert "777" not in user.content
    assert prompt[1].content in user.content
    assert "# Reward\n0.000" in user.content


def test_a_last_state_that_the_feedback_repeats_is_not_told_twice():
    text = asked(outcome=Outcome(0.0, False, "the last state"))
    assert text.count("the last state") == 1
    assert text.endswith("# Feedback\nthe last state")
