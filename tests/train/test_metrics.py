"""What a step tells of itself."""

import errno
from dataclasses import replace
from math import sqrt
from pathlib import Path

import pytest

from codagent.types import Episode, Loop, Outcome, Task
from codagent_train import metrics
from codagent_train.rows import Harvest
from codagent_train.sources import Learned

TASK = Task("guess", "Guess.")


def loop(*rewards):
    solved = tuple(Episode("solve", at, TASK, "", (), outcome=Outcome(reward, reward > 0, "")) for at, reward in enumerate(rewards))
    return replace(Loop("one", "group", "lake", "policy", ""), episodes=solved, end="finished")


def measured(*groups):
    return metrics.measured(Learned({"play": groups, "again": (), "replay": ()}, {"teacher": (), "warm": ()}), Harvest((), 0))


def test_the_margin_of_a_reward_is_over_packs_whose_loops_are_averaged_first():
    found = measured([loop(0.0, 1.0), loop(1.0, 1.0)], [loop(1.0, 1.0), loop(1.0, 1.0)])
    assert found["reward/position_0"] == 0.75
    assert found["margin/position_0"] == pytest.approx(1.96 * sqrt(0.125) / sqrt(2))  # of 0.5 and 1
    assert found["margin/position_1"] == 0.0


def test_one_pack_has_no_margin_and_neither_has_a_position_that_not_all_packs_reached():
    assert not [name for name in measured([loop(0.0), loop(1.0)]) if name.startswith("margin/")]
    assert [name for name in measured([loop(0.0, 1.0)], [loop(1.0)]) if name.startswith("margin/")] == ["margin/position_0"]


def test_a_line_that_finds_no_room_is_an_error_of_the_disk():
    with pytest.raises(OSError, match="No space left") as caught:
        metrics.write(Path("/dev/full"), 1, {"loss/total": 0.5})
    assert caught.value.errno == errno.ENOSPC
