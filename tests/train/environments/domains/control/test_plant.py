"""The rules of optimal control, and how well it can be played."""

from statistics import fmean

import pytest

from codagent_train.environments.domains.control.best_law import best_controls, best_gains, identify_plant
from codagent_train.environments.domains.control.plant import (
    LEVELS,
    Course,
    LawFailed,
    Plant,
    draw_course,
    draw_plant,
    gains_law,
    run_law,
)
from tests.train.environments.domains.reached import mean_rewards

PLANT, COURSE = Plant(0.9, -0.8), Course(1.0, 0.5, -3.0, 12)


def test_the_worked_example_without_control():
    run = run_law(PLANT, COURSE, lambda *_: 0.0)
    assert (round(run.x, 4), round(run.v, 4), round(run.reward, 4)) == (4.2291, 0.1412, 0.0188)


def test_the_worked_example_with_two_gains():
    run = run_law(PLANT, COURSE, gains_law(COURSE, -0.36, -0.88))
    effort = sum(0.03 * u * u for _, _, u in run.table)
    assert (round(run.x, 4), round(run.v, 4), round(effort, 4), round(run.reward, 4)) == (-2.9906, -0.0075, 0.0649, 0.9389)


def test_the_best_controls_of_the_worked_example():
    controls = best_controls(PLANT, COURSE)
    assert round(run_law(PLANT, COURSE, lambda step, *_: controls[step]).reward, 4) == 0.9860


def test_no_change_of_one_control_is_better_than_the_best_controls():
    for number in range(20):
        plant, course = draw_plant(number), draw_course(LEVELS["hard"], number)
        controls = best_controls(plant, course)
        best = run_law(plant, course, lambda step, *_, us=controls: us[step]).loss
        for changed in range(course.horizon):
            for change in (-0.01, 0.01):
                moved = [u + change * (step == changed) for step, u in enumerate(controls)]
                assert run_law(plant, course, lambda step, *_, us=moved: us[step]).loss >= best - 1e-9


def test_controls_are_cut_and_the_speed_changes_before_the_place():
    run = run_law(Plant(0.5, 2.0), Course(0.0, 1.0, 0.0, 1), lambda *_: 9.0)
    assert run.table == ((0.0, 1.0, 1.0),)
    assert (run.v, run.x) == (2.5, 2.5)


def test_a_law_that_gives_no_number_fails_with_its_step():
    with pytest.raises(LawFailed, match="step 3"):
        run_law(PLANT, COURSE, lambda step, *_: 1.0 / (3 - step))
    with pytest.raises(LawFailed, match="step 0: the value is inf"):
        run_law(PLANT, COURSE, lambda *_: float("inf"))


def test_plants_and_courses_keep_their_bounds():
    plants = [draw_plant(seed) for seed in range(300)]
    assert all(0.55 <= plant.a < 1.2 and 0.35 <= abs(plant.b) < 1.5 for plant in plants)
    assert 0.4 < fmean(plant.b > 0 for plant in plants) < 0.6
    courses = [draw_course(LEVELS["easy"], seed) for seed in range(300)]
    assert max(abs(course.target) for course in courses) > 2.8
    assert max(abs(course.x) for course in courses) < 1.0
    assert {course.horizon for course in courses} == {8}


def test_noise_is_part_of_the_task_and_there_only_where_the_level_says_so():
    assert draw_course(LEVELS["hard"], 7).shocks == ()
    noisy = draw_course(LEVELS["noisy"], 7)
    assert len(noisy.shocks) == noisy.horizon
    assert noisy == draw_course(LEVELS["noisy"], 7)


def test_a_table_tells_the_plant():
    run = run_law(PLANT, COURSE, gains_law(COURSE, 0.2, 0.3))
    plant = identify_plant(run.table, run.v)
    assert plant is not None
    assert (round(plant.a, 2), round(plant.b, 2)) == (0.9, -0.8)
    assert identify_plant(((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), 0.0) is None


def test_the_best_gains_have_the_sign_of_b():
    assert best_gains(PLANT, COURSE)[0] < 0 < best_gains(Plant(0.9, 0.8), COURSE)[0]


def test_what_can_be_reached_without_a_model():
    means = mean_rewards("control", "hard", packs=60, tasks=2)
    assert means["random"][0] < 0.15
    assert 0.35 < means["scratch"][0] < 0.6
    assert means["carry"][0] == means["scratch"][0]
    assert means["carry"][1] > 0.93
    assert min(means["known"]) > 0.95
