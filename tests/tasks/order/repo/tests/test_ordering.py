import pytest

from stepwise import CycleError, UnknownStepError, order


def test_steps_without_needs_stay_in_their_order():
    assert order({"b": [], "a": []}) == ["b", "a"]


def test_a_step_comes_after_what_it_needs():
    assert order({"app": ["lib", "assets"], "lib": ["compiler"], "assets": [], "compiler": []}) == ["compiler", "lib", "assets", "app"]


def test_a_step_needed_twice_runs_once():
    assert order({"top": ["left", "right"], "left": ["base"], "right": ["base"], "base": []}) == ["base", "left", "right", "top"]


def test_a_need_that_is_no_step_is_refused():
    with pytest.raises(UnknownStepError, match="app needs lib, which is not a step"):
        order({"app": ["lib"]})


def test_a_step_that_needs_itself_is_refused():
    with pytest.raises(CycleError, match="a -> a"):
        order({"a": ["a"]})


def test_two_steps_that_need_each_other_are_refused():
    with pytest.raises(CycleError) as error:
        order({"a": ["b"], "b": ["a"]})
    assert error.value.path == ["a", "b", "a"]


def test_the_path_names_only_the_steps_of_the_circle():
    with pytest.raises(CycleError) as error:
        order({"start": ["a"], "a": ["ready", "b"], "ready": [], "b": ["c"], "c": ["a"]})
    assert error.value.path == ["a", "b", "c", "a"]
