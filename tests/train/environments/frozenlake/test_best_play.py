"""The solver, by hand on a lake of four cells."""

import pytest

from codagent_train.environments.frozenlake.best_play import ANY_MAPPING, Solver, narrow, play_best
from codagent_train.environments.frozenlake.rules import MAPPINGS, Lake, Moment, judge

DOWN, RIGHT, UP, LEFT = range(4)


def pond(turns, holes=()):
    """P G
    _ _"""
    return Lake(2, frozenset(holes), start=0, goal=1, turns=turns)


def believed(allowed):
    return sum(1 << i for i, ways in enumerate(MAPPINGS) if allowed(ways))


@pytest.mark.parametrize(("turns", "value"), [(0, 0), (1, 1 / 4), (2, 1 / 4 + 1 / 2 * 1 / 3), (3, 1 / 4 + 1 / 4 * 1 / 3 + 1 / 2 * 1 / 2)])
def test_the_best_chance_without_notes(turns, value):
    assert Solver(pond(turns)).value(0, ANY_MAPPING, turns) == pytest.approx(value)


def test_a_hole_ends_the_chance():
    assert Solver(pond(9, holes=[2])).value(0, ANY_MAPPING, 9) == pytest.approx(1 / 4 + 1 / 2 * (1 / 3 + 1 / 3 * 1 / 2))


def test_what_is_known_is_used():
    knows_right = believed(lambda ways: ways[2] == RIGHT)
    assert Solver(pond(1)).value(0, knows_right, 1) == 1
    assert Solver(pond(1)).best_code(0, knows_right, 1) == 3


def test_a_goal_that_is_too_far_has_no_chance():
    assert Solver(Lake(2, frozenset(), start=0, goal=3, turns=1)).value(0, ANY_MAPPING, 1) == 0


def test_a_bump_leaves_the_directions_of_all_edges_possible():
    stuck = Moment(pond(8), position=0, turn=1, code=1, before=0)
    assert narrow(ANY_MAPPING, stuck) == believed(lambda ways: ways[0] in (UP, LEFT))


def test_a_fall_tells_as_much_as_a_step():
    fallen = Moment(pond(8, holes=[2]), position=2, turn=1, code=4, before=0)
    assert narrow(ANY_MAPPING, fallen) == believed(lambda ways: ways[3] == DOWN)


def test_with_everything_known_the_shortest_way_is_taken():
    ways = (LEFT, UP, RIGHT, DOWN)
    told = play_best(Solver(Lake(3, frozenset({4}), start=0, goal=8, turns=8)), ways, 1 << MAPPINGS.index(ways))
    assert len(told) == 4
    assert judge(told[-1][0]) == "goal"
