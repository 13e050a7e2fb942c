"""The teacher of FrozenLake-Obscure: what it believes, and what actions are worth to it."""

import pytest

from codagent_train.environments.frozenlake.best_play import ANY_MAPPING, MAPPINGS_WHERE, Solver
from codagent_train.environments.frozenlake.lake_teacher import action_values, believe
from codagent_train.environments.frozenlake.rules import DIRECTIONS, MAPPINGS, Lake, move

STRAIGHT = (0, 1, 2, 3)


def test_the_reader_takes_true_pairs_and_ignores_the_others():
    assert believe(["?", "1>down", "2>up", "r0c1"], STRAIGHT) == MAPPINGS_WHERE[1, 0]
    assert believe([f"{code}>{DIRECTIONS[way]}" for code, way in enumerate(STRAIGHT, 1)], STRAIGHT) == 1 << MAPPINGS.index(STRAIGHT)
    assert believe(["?", "?", "2>up", "1>left"], STRAIGHT) == ANY_MAPPING


def test_actions_are_worth_what_their_directions_are_worth():
    lake = Lake(3, frozenset({3}), start=0, goal=1, turns=4)  # the goal is on the right, a hole below
    assert action_values(Solver(lake), 0, believe(["2>right", "1>down"], STRAIGHT))[:2] == [0.0, 1.0]
    assert len({round(value, 9) for value in action_values(Solver(lake), 0, ANY_MAPPING)}) == 1


@pytest.mark.parametrize("cell", [0, 2, 6, 8])
def test_an_action_that_certainly_stays_is_worth_nothing(cell):
    lake = Lake(3, frozenset({1, 3, 5}), start=cell, goal=4, turns=4)  # in each corner two actions bump into the edge
    ways = [way for way in range(4) if move(3, cell, way) == cell]
    values = action_values(Solver(lake), cell, 1 << MAPPINGS.index(STRAIGHT))
    assert [values[way] for way in ways] == [0.0, 0.0]
