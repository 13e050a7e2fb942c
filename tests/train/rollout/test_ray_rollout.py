"""Loops that are played on Ray: those that this process would have played, whatever happens to the workers."""

import os
import signal
from dataclasses import replace
from functools import partial

import pytest

from codagent.errors import RepositoryError, SandboxError
from codagent_train.environments import keycode
from codagent_train.rollout.ray_rollout import open_rollout
from codagent_train.rollout.rollout import rollout
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import open_in_memory
from tests.train.rollout.test_rollout import Dice, replies, starts


class Deadly(keycode.Keycode):
    """Kills the process that plays it, once."""

    def __init__(self, seed, once):
        super().__init__(seed)
        self._once = once

    def step(self, message):
        if not self._once.exists():
            self._once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(message)


class Lost(keycode.Keycode):
    """Kills each process that plays it."""

    def step(self, message):
        os.kill(os.getpid(), signal.SIGKILL)


class Refused(keycode.Keycode):
    def reset(self, task, notes):
        raise RepositoryError("the commit is gone")


@pytest.fixture(scope="module")
def far():
    """Plays on a cluster of two nodes of one CPU each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    with open_rollout(f"ray://{cluster.address}") as play:
        yield play
    cluster.shutdown()


def in_memory(spec, make, *arguments):
    return replace(spec, environment=partial(open_in_memory, partial(make, *spec.environment.args[0].args, *arguments)))


@pytest.mark.parametrize("in_process", [True, False])
def test_the_loops_are_those_that_this_process_would_have_played(far, in_process):
    specs = [replace(spec, in_process=in_process) for spec in [*starts(5), *starts(2, tasks=1)]]
    engine = Dice()
    played = far(Sampler(engine, keycode, "dice"), specs)
    assert engine.batches == [7, 5, 5, 5, 5, 5, 5]  # the loops of both workers together
    here = rollout(Sampler(Dice(), keycode, "dice"), specs)
    assert [loop.id for loop in played] == [loop.id for loop in here]
    assert replies(played) == replies(here)
    assert far(Sampler(engine, keycode, "dice"), []) == []


def test_the_loops_of_a_worker_that_dies_are_played_again(far, tmp_path):
    specs = starts(4)
    sampler = Sampler(Dice(), keycode, "dice")
    played = far(sampler, [*specs[:3], in_memory(specs[3], Deadly, tmp_path / "once")])
    assert replies(played) == replies(rollout(sampler, specs))


def test_a_loop_that_kills_each_worker_is_given_up(far):
    specs = starts(3)
    with pytest.raises(SandboxError, match="1 loop lost with Ray workers, 3 times in a row"):
        far(Sampler(Dice(), keycode, "dice"), [*specs[:2], in_memory(specs[2], Lost)])


def test_the_error_of_a_loop_is_raised_as_it_is(far):
    specs = starts(3)
    with pytest.raises(RepositoryError, match="the commit is gone"):
        far(Sampler(Dice(), keycode, "dice"), [*specs[:2], in_memory(specs[2], Refused)])


def test_an_engine_that_breaks_ends_it(far):
    class Broken(Dice):
        def generate(self, prompts, samplings):
            raise ArithmeticError("no more")

    with pytest.raises(ArithmeticError, match="no more"):
        far(Sampler(Broken(), keycode, "dice"), starts(3))
