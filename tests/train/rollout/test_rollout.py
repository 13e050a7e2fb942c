"""Many loops at once: answered together, the same whatever the order of threads, and none waits for ever."""

import pickle
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from codagent.errors import RepositoryError, SandboxError
from codagent.types import Loop, Profile, Sampling, Tokens
from codagent_train.environments import keycode
from codagent_train.rollout.rollout import rollout
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import RolloutSpec, open_in_memory

PROFILE = Profile(sampling=Sampling(max_tokens=1))


class Dice:
    """An Engine that draws a key by the seed alone, and remembers how many prompts it was given at a time."""

    ends: frozenset[int] = frozenset()

    def __init__(self):
        self.batches = []

    def generate(self, prompts, samplings):
        self.batches.append(len(prompts))
        return [Tokens(prompt, (Random(each.seed).randrange(4),), (-1.0,)) for prompt, each in zip(prompts, samplings, strict=True)]


class Broken(Dice):
    def generate(self, prompts, samplings):
        super().generate(prompts, samplings)
        if len(self.batches) == 3:
            raise ArithmeticError("no more")
        return super().generate(prompts, samplings)


class Slow(keycode.Keycode):
    def step(self, message):
        time.sleep(1.5)
        return super().step(message)


def starts(count, environment=keycode.Keycode, tasks=4):
    packs = [keycode.make_keycode_pack("train", number // 4, tasks=tasks) for number in range(count)]
    made = [partial(environment, pack.seed) for pack in packs]
    return [
        RolloutSpec(Loop(str(number), "g", "keycode", "dice", ""), PROFILE, partial(open_in_memory, make), pack.tasks, number)
        for number, (pack, make) in enumerate(zip(packs, made, strict=True))
    ]


class Unready(keycode.Keycode):
    """Its sandbox does not start for the second task."""

    def reset(self, task, notes):
        if task.seed == 1:
            raise SandboxError("no sandbox")
        return super().reset(task, notes)


@contextmanager
def opened(log, make):
    """An environment that logs the thread in which it was opened and in which it was closed."""
    log.append(("opened", threading.get_ident()))
    try:
        yield make()
    finally:
        log.append(("closed", threading.get_ident()))


def logged(spec, log):
    """The spec, of which the environment logs when it is opened and closed."""
    return replace(spec, environment=partial(opened, log, spec.environment.args[0]))


def replies(loops):
    return [[step.reply for episode in loop.episodes for step in episode.steps] for loop in loops]


def test_nothing_to_play_is_played_at_once():
    assert rollout(Sampler(Dice(), keycode, "dice"), []) == []


def test_loops_of_one_length_are_answered_in_batches_of_all():
    engine = Dice()
    loops = rollout(Sampler(engine, keycode, "dice"), starts(8))
    assert engine.batches == [8] * 7  # four guesses, three notes
    assert [loop.id for loop in loops] == [str(number) for number in range(8)]
    assert {loop.end for loop in loops} == {"finished"}


def test_loops_that_are_over_are_not_waited_for():
    engine = Dice()
    rollout(Sampler(engine, keycode, "dice"), [*starts(3), *starts(2, tasks=1)])
    assert engine.batches == [5, 3, 3, 3, 3, 3, 3]


def test_what_a_loop_does_depends_on_its_own_seed_only():
    sampler = Sampler(Dice(), keycode, "dice")
    together = replies(rollout(sampler, starts(8)))
    assert replies(rollout(sampler, starts(8))) == together
    assert [replies(rollout(sampler, [start]))[0] for start in starts(8)] == together


def test_each_reply_says_how_it_was_sampled_and_no_two_share_a_seed():
    loops = rollout(Sampler(Dice(), keycode, "dice@7", temperature=0.9), starts(4))
    found = [reply for each in replies(loops) for reply in each]
    assert {(reply.policy, reply.sampling.temperature, reply.sampling.top_p, reply.sampling.top_k) for reply in found} == {
        ("dice@7", 0.9, 1.0, 0)
    }
    assert len({reply.sampling.seed for reply in found}) == len(found) == 28


def test_an_engine_that_breaks_ends_the_rollout_with_its_own_error():
    with pytest.raises(ArithmeticError, match="no more"):
        rollout(Sampler(Broken(), keycode, "dice"), starts(4))


def test_a_loop_that_never_comes_back_is_not_waited_for_for_ever():
    with pytest.raises(SandboxError, match="1 of 4 loops have not asked"):
        rollout(Sampler(Dice(), keycode, "dice"), [*starts(3), *starts(1, Slow)], patience_s=0.5)


def test_the_environment_of_each_loop_is_opened_and_closed_once_in_the_loops_own_thread():
    log = []
    specs = [logged(spec, log) for spec in starts(3)]
    assert log == []
    rollout(Sampler(Dice(), keycode, "dice"), specs)
    threads = {thread for _, thread in log}
    assert len(threads) == 3
    assert threading.get_ident() not in threads
    assert [[what for what, where in log if where == thread] for thread in threads] == [["opened", "closed"]] * 3


def test_a_sandbox_that_does_not_start_ends_its_loop_closes_the_environment_and_is_told_when_the_others_have_ended():
    log, engine = [], Dice()
    with pytest.raises(SandboxError, match="no sandbox"):
        rollout(Sampler(engine, keycode, "dice"), [logged(spec, log) for spec in [*starts(3), *starts(1, Unready)]])
    assert sorted(what for what, _ in log) == ["closed"] * 4 + ["opened"] * 4
    assert engine.batches == [4, 4, 3, 3, 3, 3, 3]  # the first attempt and the notes of all, then those of three


def test_an_environment_that_cannot_be_opened_ends_its_loop_with_that_error():
    @contextmanager
    def gone():
        raise RepositoryError("the commit is gone")
        yield

    engine, (first, second) = Dice(), starts(2)
    with pytest.raises(RepositoryError, match="the commit is gone"):
        rollout(Sampler(engine, keycode, "dice"), [replace(first, environment=gone), second])
    assert engine.batches == [1] * 7


def test_environments_are_closed_also_when_the_engine_breaks():
    log = []
    with pytest.raises(ArithmeticError, match="no more"):
        rollout(Sampler(Broken(), keycode, "dice"), [logged(spec, log) for spec in starts(4)])
    assert sorted(what for what, _ in log) == ["closed"] * 4 + ["opened"] * 4


def test_loops_of_one_batch_are_each_played_by_their_own_profile():
    engine, (first, second) = Dice(), starts(2)
    longer = replace(second, profile=replace(PROFILE, sampling=Sampling(max_tokens=7)))
    played = replies(rollout(Sampler(engine, keycode, "dice"), [first, longer]))
    assert [{reply.sampling.max_tokens for reply in loop} for loop in played] == [{1}, {7}]
    assert set(engine.batches) == {2}


def test_specs_are_data_a_copy_out_of_a_pickle_is_played_alike():
    sampler, specs = Sampler(Dice(), keycode, "dice"), starts(4)
    copies = pickle.loads(pickle.dumps(specs))
    assert [(copy.loop, copy.profile, copy.tasks, copy.seed) for copy in copies] == [
        (spec.loop, spec.profile, spec.tasks, spec.seed) for spec in specs
    ]
    assert replies(rollout(sampler, copies)) == replies(rollout(sampler, specs))
