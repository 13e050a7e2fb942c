from itertools import product

import pytest

from codagent_train.environments.conventions.house import (
    BY_NAME,
    EXERCISES,
    RULES,
    answer,
    describe_rules,
    draw_arguments,
    draw_exercises,
    draw_house,
    write_solution,
)

FIRST = dict.fromkeys(RULES, 0)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_the_calls_of_a_task_tell_all_ways_of_its_rules_apart(exercise):
    for seed in range(5):
        calls = draw_arguments(exercise, seed)
        first, second = exercise.rules
        houses = [FIRST | {first: one, second: two} for one, two in product(range(len(RULES[first])), range(len(RULES[second])))]
        assert len({tuple(answer(house, exercise, call) for call in calls) for house in houses}) == len(houses)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_a_written_solution_does_what_the_house_does(exercise):
    house, scope = draw_house(7), {}
    exec(write_solution(house, exercise), scope)
    for call in draw_arguments(exercise, 3):
        try:
            got = repr(scope[exercise.name](*call))
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            got = f"raises {type(error).__name__}"
        assert got == answer(house, exercise, call)


def test_a_day_an_amount_and_an_error_by_hand():
    house = FIRST | {"day": 1, "amount": 1, "error": 2}
    assert answer(house, BY_NAME["stamp"], (2024, 3, 5, 1234.5)) == "'05.03.2024: 1.234,50'"
    assert answer(house, BY_NAME["deadline"], (2024, 13, 5)) == "raises TypeError"
    assert answer(FIRST | {"length": 1, "whole": 1}, BY_NAME["measure"], (1.231,)) == "124"


def test_the_tasks_of_a_pack_share_their_rules():
    for seed in range(30):
        four = draw_exercises(seed, 4)
        assert len(set(four)) == 4
        assert len({kind for exercise in four for kind in exercise.rules}) <= 4
        assert draw_exercises(seed, 6)[:4] == four


def test_true_notes_name_the_rules():
    assert describe_rules(FIRST, [BY_NAME["share"]]) == "- what cannot be done raises ValueError\n- numbers are rounded down"


def test_houses_differ():
    assert len({tuple(draw_house(seed).items()) for seed in range(200)}) > 190
