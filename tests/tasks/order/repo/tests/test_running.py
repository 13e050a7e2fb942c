import pytest

from stepwise import StepError, run


def test_actions_run_in_order():
    ran = []
    actions = {name: lambda name=name: ran.append(name) for name in ("app", "lib")}
    assert run({"app": ["lib"], "lib": []}, actions) == ["lib", "app"]
    assert ran == ["lib", "app"]


def test_nothing_runs_if_a_step_has_no_action():
    ran = []
    with pytest.raises(StepError, match="no action for app"):
        run({"app": ["lib"], "lib": []}, {"lib": lambda: ran.append("lib")})
    assert ran == []


def test_nothing_runs_if_steps_need_each_other():
    ran = []
    with pytest.raises(StepError, match="a -> b -> a"):
        run({"a": ["b"], "b": ["a"]}, {"a": lambda: ran.append("a"), "b": lambda: ran.append("b")})
    assert ran == []
