"""Returns, advantages and the re-weighting, with numbers worked by hand."""

from functools import partial
from math import log

import pytest

from codagent.types import Episode, Loop, Outcome, Task
from codagent_train.data.credit import (
    advantages,
    compare_with_no_notes,
    discount_returns,
    episode_rewards,
    leave_one_out,
    no_signal,
    one_sum,
    own_rewards,
    paper,
    returns_of,
    reweight,
    reweighting_temperature,
    window_returns,
)
from codagent_train.recipe.schema import CreditConfig


def scores(solve, notes=()):
    return {("solve", at): value for at, value in enumerate(solve)} | {("notes", at): value for at, value in enumerate(notes)}


LEFT = scores([0, 1, 1], [0, -0.1])
RIGHT = scores([0, 0, 1], [0, 0])


def close(*expected):
    return [pytest.approx(values, abs=1e-12) for values in expected]


def episode(kind, position, reward):
    outcome = None if reward is None else Outcome(reward, reward > 0, "")
    return Episode(kind, position, Task("t", "x"), "", (), outcome=outcome)


def loop(*episodes, end="finished"):
    return Loop("id", "group", "keycode", "model", "", tuple(episodes), end=end)


def test_the_papers_return_is_the_mean_to_go_and_the_own_reward_of_notes_is_one_element_of_it():
    assert [paper(LEFT)] == close(scores([2 / 3, 1, 1], [2 / 3, 0.45]))


def test_notes_are_not_credited_with_the_task_that_they_follow():
    assert [paper(scores([1, 0], [0]))] == close(scores([0.5, 0], [0]))


def test_own_reward_only():
    assert own_rewards(LEFT) == LEFT


def test_one_sum_is_the_same_for_every_episode_of_the_loop():
    assert [one_sum(LEFT)] == close(scores([1.9, 1.9, 1.9], [1.9, 1.9]))


def test_a_window_counts_the_own_reward():
    assert [window_returns(LEFT, window=2)] == close(scores([0.5, 1, 1], [0.5, 0.45]))
    assert window_returns(LEFT, window=1) == own_rewards(LEFT)


def test_discounted_rewards_are_summed_from_the_own_one_on():
    assert [discount_returns(LEFT, factor=0.5)] == close(scores([0.75, 1.5, 1], [0.75, 0.4]))


def test_the_baseline_is_the_groups_mean_at_each_position():
    found = advantages([LEFT, RIGHT])
    assert found == close(scores([1 / 6, 0.25, 0], [1 / 6, -0.025]), scores([-1 / 6, -0.25, 0], [-1 / 6, 0.025]))


def test_own_reward_only_teaches_notes_nothing_but_their_form():
    assert advantages([LEFT, RIGHT], returns=own_rewards) == close(scores([0, 0.5, 0], [0, -0.05]), scores([0, -0.5, 0], [0, 0.05]))


def test_leaving_oneself_out_compares_with_the_mean_of_the_others():
    group = [scores([1]), scores([0]), scores([0.5])]
    assert advantages(group, baseline=leave_one_out) == close(scores([0.75]), scores([-0.75]), scores([0]))


def test_a_variant_with_a_parameter_is_given_as_a_partial():
    found = advantages([LEFT, RIGHT], returns=partial(discount_returns, factor=0.0))
    assert found == advantages([LEFT, RIGHT], returns=own_rewards)


def test_a_group_of_one_has_no_advantages():
    assert advantages([LEFT]) == [{}]


def test_a_loop_that_was_broken_off_is_left_out_and_the_others_are_compared_as_if_it_were_not_there():
    left, broken, right = advantages([LEFT, {}, RIGHT])
    assert broken == {}
    assert [left, right] == advantages([LEFT, RIGHT])


def test_what_only_one_loop_came_to_has_no_advantage():
    short, long = advantages([scores([1]), scores([0, 1], [0])])
    assert [short, long] == close(scores([0.25]), scores([-0.25]))


def test_a_group_in_which_all_did_the_same_is_dead():
    third = scores([0.1 + 0.2, 0.7], [0])
    assert no_signal(advantages([third, third, third]))
    assert no_signal(advantages([LEFT]))
    assert not no_signal(advantages([LEFT, RIGHT]))


def test_rewards_are_read_from_a_loop():
    whole = loop(episode("solve", 0, 0.0), episode("notes", 0, -0.1), episode("solve", 1, 0.9))
    assert episode_rewards(whole) == scores([0.0, 0.9], [-0.1])


@pytest.mark.parametrize("end", ["model", "tokens", "interrupted", None])
def test_a_loop_that_was_broken_off_has_no_rewards(end):
    assert episode_rewards(loop(episode("solve", 0, 1.0), end=end)) == {}


def test_a_loop_with_an_episode_that_was_not_judged_has_no_rewards():
    assert episode_rewards(loop(episode("solve", 0, 1.0), episode("notes", 0, None))) == {}


def test_the_temperature_balances_the_trained_tokens():
    # e^(0.5/T) = 2 e^(-0.5/T), so T = 1 / ln 2
    assert reweighting_temperature([0.5, -0.5], [1, 2]) == pytest.approx(1 / log(2), abs=0.05)


def test_nothing_is_reweighted_while_the_advantages_are_not_negative_together():
    assert reweighting_temperature([0.5, -0.5], [2, 2]) is None
    assert reweight(-0.5, None) == -0.5


def test_the_temperature_has_a_lower_bound():
    assert reweighting_temperature([0.1, -0.5], [1, 1000]) == pytest.approx(0.8, abs=0.05)


def test_reweighting_favours_what_went_well_and_keeps_every_sign():
    assert reweight(0.5, 0.8) == pytest.approx(0.5 * 1.868246)
    assert reweight(-0.5, 0.8) == pytest.approx(-0.5 * 0.535261)


def test_notes_are_worth_what_they_bring_over_play_without_notes():
    group = [scores([0, 1, 1], [0, 0]), scores([0, 0, 1], [0, -0.1])]
    without = [scores([1, 0, 0]), scores([0, 1, 0])]  # on average half of the second task, and nothing of the third
    found = compare_with_no_notes(advantages(group), group, without, returns=paper)
    # with notes (0 + 1 + 1) / 3, without (0 + 1/2 + 0) / 3; then (0 + 1) / 2 and 0
    assert found[0]["notes", 0] == pytest.approx(2 / 3 - 1 / 6)
    assert found[0]["notes", 1] == pytest.approx(0.5)
    assert found[1]["notes", 0] == pytest.approx(1 / 3 - 1 / 6)
    assert found[1]["notes", 1] == pytest.approx((1 - 0.1) / 2)
    assert [{key: value for key, value in one.items() if key[0] == "solve"} for one in found] == [
        {key: value for key, value in one.items() if key[0] == "solve"} for one in advantages(group)
    ]


def test_without_loops_to_compare_with_the_notes_keep_their_advantages():
    group = [LEFT, RIGHT]
    assert compare_with_no_notes(advantages(group), group, [{}, {}], returns=paper) == advantages(group)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (CreditConfig(), paper(LEFT)),
        (CreditConfig(returns="own"), own_rewards(LEFT)),
        (CreditConfig(returns="one_sum"), one_sum(LEFT)),
        (CreditConfig(returns="windowed", window=2), window_returns(LEFT, window=2)),
        (CreditConfig(returns="windowed", window=1), own_rewards(LEFT)),
        (CreditConfig(returns="discounted", discount=0.5), discount_returns(LEFT, factor=0.5)),
    ],
)
def test_a_recipe_names_its_returns(config, expected):
    assert returns_of(config)(LEFT) == expected
