"""Loops without a thread each: the same loops, closed environments, and no error is lost."""

import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

from codagent.errors import RepositoryError, SandboxError
from codagent_train.environments import keycode
from codagent_train.rollout.rollout import rollout
from codagent_train.rollout.sampler import Sampler
from tests.train.rollout.test_rollout import Broken, Dice, Unready, logged, replies, starts


def specs(count, *rest, **more):
    return [replace(spec, in_process=True) for spec in starts(count, *rest, **more)]


def test_they_are_the_loops_that_threads_play():
    sampler = Sampler(Dice(), keycode, "dice")
    assert replies(rollout(sampler, specs(8))) == replies(rollout(sampler, starts(8)))


def test_loops_of_both_kinds_come_back_in_their_order():
    engine = Dice()
    mixed = [spec for pair in zip(specs(3), starts(3), strict=True) for spec in pair]
    assert [loop.id for loop in rollout(Sampler(engine, keycode, "dice"), mixed)] == ["0", "0", "1", "1", "2", "2"]
    assert engine.batches == [6] * 7


def test_loops_that_are_over_are_not_waited_for():
    engine = Dice()
    rollout(Sampler(engine, keycode, "dice"), [*specs(3), *specs(2, tasks=1)])
    assert engine.batches == [5, 3, 3, 3, 3, 3, 3]


def test_environments_are_opened_and_closed_in_the_thread_that_asked():
    log = []
    rollout(Sampler(Dice(), keycode, "dice"), [logged(spec, log) for spec in specs(3)])
    assert sorted(what for what, _ in log) == ["closed"] * 3 + ["opened"] * 3
    assert {thread for _, thread in log} == {threading.get_ident()}


def test_an_engine_that_breaks_ends_the_rollout_with_its_own_error_and_environments_are_closed():
    log = []
    with pytest.raises(ArithmeticError, match="no more"):
        rollout(Sampler(Broken(), keycode, "dice"), [logged(spec, log) for spec in specs(4)])
    assert sorted(what for what, _ in log) == ["closed"] * 4 + ["opened"] * 4


def test_a_sandbox_that_does_not_start_is_told_when_the_others_have_ended():
    log, engine = [], Dice()
    with pytest.raises(SandboxError, match="no sandbox"):
        rollout(Sampler(engine, keycode, "dice"), [logged(spec, log) for spec in [*specs(3), *specs(1, Unready)]])
    assert sorted(what for what, _ in log) == ["closed"] * 4 + ["opened"] * 4
    assert engine.batches == [4, 4, 3, 3, 3, 3, 3]


def test_an_environment_that_cannot_be_opened_ends_its_loop_with_that_error():
    @contextmanager
    def gone():
        raise RepositoryError("the commit is gone")
        yield

    engine, (first, second) = Dice(), specs(2)
    with pytest.raises(RepositoryError, match="the commit is gone"):
        rollout(Sampler(engine, keycode, "dice"), [replace(first, environment=gone), second])
    assert engine.batches == [1] * 7


@pytest.mark.parametrize("when", ["step", "reset", "grade"])
def test_a_person_who_interrupts_one_loop_ends_the_rollout(when):
    def interrupt(*_):
        raise KeyboardInterrupt

    log, stopped = [], type("Stopped", (keycode.Keycode,), {when: interrupt})
    with pytest.raises(KeyboardInterrupt):
        rollout(Sampler(Dice(), keycode, "dice"), [logged(spec, log) for spec in [*specs(2), *specs(1, stopped), *specs(2)]])
    opened = [what for what, _ in log].count("opened")
    assert [what for what, _ in log].count("closed") == opened
