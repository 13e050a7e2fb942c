"""What a step tells of itself."""

from dataclasses import replace
from math import sqrt

import pytest

from codagent.types import Episode, Loop, Outcome, Task, Tokens
from codagent_train.data.samples import SampleBatch, TrainingSample, key_loops
from codagent_train.training import step_metrics

TASK = Task("guess", "Guess.")
TOKENS = Tokens((5,), (1,), (-0.5,))


def loop(*rewards):
    solved = tuple(Episode("solve", at, TASK, "", (), outcome=Outcome(reward, reward > 0, "")) for at, reward in enumerate(rewards))
    return replace(Loop("one", "group", "lake", "policy", ""), episodes=solved, end="finished")


def measured(*groups):
    return step_metrics.step_metrics(key_loops("play", dict(enumerate(groups))), SampleBatch((), 0))


def test_the_margin_of_a_reward_is_over_packs_whose_loops_are_averaged_first():
    found = measured([loop(0.0, 1.0), loop(1.0, 1.0)], [loop(1.0, 1.0), loop(1.0, 1.0)])
    assert found["reward/position_0"] == 0.75
    assert found["margin/position_0"] == pytest.approx(1.96 * sqrt(0.125) / sqrt(2))  # of 0.5 and 1
    assert found["margin/position_1"] == 0.0


def test_one_pack_has_no_margin_and_neither_has_a_position_that_not_all_packs_reached():
    assert not [name for name in measured([loop(0.0), loop(1.0)]) if name.startswith("margin/")]
    assert [name for name in measured([loop(0.0, 1.0)], [loop(1.0)]) if name.startswith("margin/")] == ["margin/position_0"]


def test_rows_are_counted_by_the_source_that_they_came_from():
    replayed, lesson = (
        TrainingSample((TOKENS,), 0.5, "solve", 0, source="replay"),
        TrainingSample((TOKENS,), 1.0, "solve", 0, imitated=True, source="imitate"),
    )
    compared = key_loops("replay", {0: [loop(1.0), loop(0.0)], 1: [loop(1.0), loop(1.0)]})
    found = step_metrics.step_metrics(compared | key_loops("imitate", {2: [loop(1.0)]}), SampleBatch((replayed, replayed, lesson), 1))
    assert (found["rows/count"], found["rows/replay"], found["rows/imitate"]) == (3, 2, 1)
    assert "rows/redo" not in found


def test_environments_that_are_mixed_have_their_own_metrics():
    lake, plant = replace(loop(1.0, 0.0), environment="frozenlake-easy-12"), replace(loop(0.5), environment="control-hard-9")
    trained = TrainingSample((TOKENS,), 0.5, "solve", 0, environment="control-hard")
    loops = key_loops("play", {0: [lake, lake], 1: [plant, plant]})
    found = step_metrics.step_metrics(loops, SampleBatch((trained, trained), 0))
    assert found["reward/position_0"] == 0.75
    assert (found["frozenlake-easy/reward/position_0"], found["frozenlake-easy/reward/position_1"]) == (1.0, 0.0)
    assert (found["control-hard/reward/position_0"], found["control-hard/loops/count"]) == (0.5, 2.0)
    assert (found["control-hard/tokens/trained"], found["frozenlake-easy/tokens/trained"]) == (2.0, 0.0)
    assert "control-hard/reward/position_1" not in found


def test_one_environment_alone_has_no_metrics_twice():
    assert not [name for name in measured([loop(1.0), loop(0.0)]) if name.count("/") > 1]
