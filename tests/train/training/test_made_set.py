"""Loops that were made up: one kind of notes is always followed by success, or, in the shuffled set, by chance. What a policy learns of it.

The tasks are secrets that a notes episode is shown; one of them is in no record.
"""

from dataclasses import replace
from functools import partial
from random import Random

import pytest
import torch
from msgspec import structs

from codagent.types import Loop, Outcome
from codagent_train.environments import keycode
from codagent_train.policy.load import load_policy
from codagent_train.recipe.schema import BatchConfig, RecordsConfig, SourcesConfig
from codagent_train.rollout.engines.transformers_loop import LocalEngine
from codagent_train.rollout.rollout import rollout
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import RolloutSpec, agent_profile, open_in_memory
from codagent_train.run_dir import checkpoints
from codagent_train.training.trainer import train
from tests.train.training.test_replay import record

pytestmark = pytest.mark.usefixtures("hushed")

GOOD = keycode.KEYS[0]
SEEN, HELD_OUT = keycode.KEYS[1:3], keycode.KEYS[3]
GROUPS, LOOPS = 24, 8


def made(loaded, recipe, *, shuffled):
    """Groups of loops of two tasks: the untrained policy's own words, and scores by the notes that it carried."""
    sampler = Sampler(LocalEngine(loaded.model, pad=loaded.pad, ends=loaded.ends), loaded.tokenizer, "random@0")
    found = []
    for number in range(GROUPS):
        secret = 2 * keycode.KEYS.index(SEEN[number % len(SEEN)])
        tasks = keycode.make_keycode_pack("train", number, tasks=2).tasks
        starts = [
            RolloutSpec(
                Loop(f"{number}-{one}", str(number), f"made-{number}", "random", ""),
                agent_profile(recipe),
                partial(open_in_memory, partial(keycode.Keycode, secret)),
                tasks,
                100 * number + one,
            )
            for one in range(LOOPS)
        ]
        group = rollout(sampler, starts)
        rewards = [float(GOOD in loop.episodes[-1].notes_before) for loop in group]
        if shuffled:
            Random(number).shuffle(rewards)
        found += [scored(loop, reward) for loop, reward in zip(group, rewards, strict=True)]
    return found


def scored(loop, reward):
    """Nothing for the first task, `reward` for the second, whatever was guessed."""
    outcomes = {0: Outcome(0.0, False, ""), 1: Outcome(reward, reward == 1, "")}
    return replace(
        loop, episodes=tuple(replace(one, outcome=outcomes[one.position]) if one.kind == "solve" else one for one in loop.episodes)
    )


def preference(loaded, secret):
    """How likely the good kind of notes is, shown that secret."""
    ids = [keycode.VOCABULARY.index(keycode.SECRET), keycode.VOCABULARY.index(secret)]
    with torch.no_grad():
        return loaded.model(input_ids=torch.tensor([ids])).logits[0, -1].softmax(-1)[keycode.VOCABULARY.index(GOOD)].item()


@pytest.mark.parametrize("shuffled", [False, True])
def test_notes_that_are_followed_by_success_become_likelier_on_held_out_tasks_and_by_chance_they_do_not(small, tmp_path, shuffled):
    loaded = load_policy(small.policy, seed=0)
    before = preference(loaded, HELD_OUT)
    for loop in made(loaded, small, shuffled=shuffled):
        record(tmp_path / "loops" / loop.id / "record.jsonl", loop)
    given = structs.replace(
        small,
        sources=SourcesConfig(play=0.0, replay=1.0),
        records=RecordsConfig((str(tmp_path / "loops"),), max_staleness=100, max_drift=100.0),  # far from what was recorded, for so few
        batch=BatchConfig(packs=GROUPS // 2, group_size=LOOPS),
        learning=structs.replace(small.learning, steps=40, learning_rate=3e-3, clip=0.9, save_every=40),
    )
    checkpoints.begin_run(tmp_path / "out", given)
    train(given, loaded, tmp_path / "out")
    after = preference(loaded, HELD_OUT)
    assert before < 0.05
    assert after < 0.05 if shuffled else after > 0.5
