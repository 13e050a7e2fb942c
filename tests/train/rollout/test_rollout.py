"""Many loops at once: answered together, the same whatever the order of threads, and none waits for ever."""

import time
from random import Random

import pytest

from codagent.errors import SandboxError
from codagent.types import Loop, Profile, Sampling, Tokens
from codagent_train.environments import keycode
from codagent_train.rollout.rollout import rollout
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import RolloutSpec

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
        time.sleep(1.0)
        return super().step(message)


def starts(count, environment=keycode.Keycode, tasks=4):
    packs = [keycode.make_keycode_pack("train", number // 4, tasks=tasks) for number in range(count)]
    return [
        RolloutSpec(Loop(str(number), "g", "keycode", "dice", ""), environment(pack.seed), pack.tasks, number)
        for number, pack in enumerate(packs)
    ]


def replies(loops):
    return [[step.reply for episode in loop.episodes for step in episode.steps] for loop in loops]


def test_nothing_to_play_is_played_at_once():
    assert rollout(Sampler(Dice(), keycode, "dice"), [], PROFILE) == []


def test_loops_of_one_length_are_answered_in_batches_of_all():
    engine = Dice()
    loops = rollout(Sampler(engine, keycode, "dice"), starts(8), PROFILE)
    assert engine.batches == [8] * 7  # four guesses, three notes
    assert [loop.id for loop in loops] == [str(number) for number in range(8)]
    assert {loop.end for loop in loops} == {"finished"}


def test_loops_that_are_over_are_not_waited_for():
    engine = Dice()
    rollout(Sampler(engine, keycode, "dice"), [*starts(3), *starts(2, tasks=1)], PROFILE)
    assert engine.batches == [5, 3, 3, 3, 3, 3, 3]


def test_what_a_loop_does_depends_on_its_own_seed_only():
    sampler = Sampler(Dice(), keycode, "dice")
    together = replies(rollout(sampler, starts(8), PROFILE))
    assert replies(rollout(sampler, starts(8), PROFILE)) == together
    assert [replies(rollout(sampler, [start], PROFILE))[0] for start in starts(8)] == together


def test_each_reply_says_how_it_was_sampled_and_no_two_share_a_seed():
    loops = rollout(Sampler(Dice(), keycode, "dice@7", temperature=0.9), starts(4), PROFILE)
    found = [reply for each in replies(loops) for reply in each]
    assert {(reply.policy, reply.sampling.temperature, reply.sampling.top_p, reply.sampling.top_k) for reply in found} == {
        ("dice@7", 0.9, 1.0, 0)
    }
    assert len({reply.sampling.seed for reply in found}) == len(found) == 28


def test_an_engine_that_breaks_ends_the_rollout_with_its_own_error():
    with pytest.raises(ArithmeticError, match="no more"):
        rollout(Sampler(Broken(), keycode, "dice"), starts(4), PROFILE)


def test_a_loop_that_never_comes_back_is_not_waited_for_for_ever():
    with pytest.raises(SandboxError, match="1 of 4 loops have not asked"):
        rollout(Sampler(Dice(), keycode, "dice"), [*starts(3), *starts(1, Slow)], PROFILE, patience_s=0.1)
