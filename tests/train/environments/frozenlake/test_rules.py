"""The rules of the lake, on lakes small enough to see."""

from collections import Counter

import pytest

from codagent_train.environments.frozenlake.rules import (
    EASY,
    HARD,
    MAPPINGS,
    SMALL,
    Lake,
    Moment,
    apply_action,
    draw_lake,
    draw_mapping,
    goal_reward,
    judge,
    move,
)
from codagent_train.environments.packs import seed_of

DOWN, RIGHT, UP, LEFT = range(4)
# P _ _
# O O _
# _ _ G
CORNER = Lake(3, frozenset({3, 4}), start=0, goal=8, turns=4)


def after(codes, directions=(DOWN, RIGHT, UP, LEFT), on=CORNER):
    moment = Moment(on, on.start)
    for code in codes:
        moment = apply_action(moment, code, directions)
    return moment


def test_each_direction_moves_by_one_cell():
    assert [move(3, 4, way) for way in (DOWN, RIGHT, UP, LEFT)] == [7, 5, 1, 3]


def test_edges_stop_the_player():
    assert [move(3, 0, way) for way in (UP, LEFT)] == [0, 0]
    assert [move(3, 8, way) for way in (DOWN, RIGHT)] == [8, 8]


def test_the_goal_is_reached():
    assert judge(after([2, 2, 1])) is None
    assert judge(after([2, 2, 1, 1])) == "goal"


def test_a_hole_ends_play():
    assert judge(after([1])) == "hole"


def test_turns_run_out_and_bumps_use_them():
    assert judge(after([3, 3, 3, 4])) == "turns"


def test_codes_move_as_the_mapping_says():
    assert after([4, 4, 2, 2], (LEFT, DOWN, UP, RIGHT)).position == 8


def test_a_success_costs_a_tenth_for_all_turns():
    assert goal_reward(4, 8) == pytest.approx(0.95)
    assert goal_reward(10, 10) == pytest.approx(0.9)


def test_seeds_of_training_and_tests_never_meet():
    seeds = {split: {seed_of(split, "x", number) for number in range(1000)} for split in ("train", "test")}
    assert {seed % 2 for seed in seeds["train"]} == {0}
    assert {seed % 2 for seed in seeds["test"]} == {1}


def test_seeds_and_lakes_are_the_same_everywhere():
    assert seed_of("train", "frozenlake-easy", 7) == 29_454_231_974_822_170
    assert draw_lake(EASY, 42) == Lake(5, frozenset({0, 1, 2, 4, 7, 8, 9, 11, 19, 24}), start=16, goal=15, turns=8)
    assert (draw_lake(HARD, 42).side, draw_lake(HARD, 42).start, draw_lake(HARD, 42).goal) == (7, 33, 26)


def test_lakes_are_drawn_as_specified():
    drawn = [draw_lake(EASY, seed) for seed in range(600)]
    assert Counter(one.side for one in drawn).keys() == {4, 5}
    assert {one.turns for one in drawn} == {8}
    assert all(one.start != one.goal and not {one.start, one.goal} & one.holes for one in drawn)
    assert {draw_lake(HARD, seed).side for seed in range(50)} == {6, 7}


def test_every_mapping_is_as_likely_in_either_split():
    for split in ("train", "test"):
        counts = Counter(draw_mapping(seed_of(split, "m", number)) for number in range(4800))
        assert counts.keys() == set(MAPPINGS)
        assert max(counts.values()) < 270  # 200 expected, five deviations
        assert min(counts.values()) > 130


@pytest.mark.parametrize("first", [0, 10**6, 10**9])
def test_the_smallest_lakes_for_tests_are_none_of_those_for_training(first):
    lakes = {split: {draw_lake(SMALL, first + 2 * number + split) for number in range(1500)} for split in (0, 1)}
    assert min(map(len, lakes.values())) > 500
    assert not lakes[0] & lakes[1]
