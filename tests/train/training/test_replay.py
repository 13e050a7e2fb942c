"""Recorded loops through the trainer, in place of play."""

from dataclasses import replace

import pytest
import torch
from msgspec import structs

from codagent.errors import UsageError
from codagent.store.record import Record
from codagent_train.policy.load import load_policy
from codagent_train.recipe.schema import BatchConfig, RecordsConfig, SourcesConfig
from codagent_train.rollout.engines.transformers_loop import LocalEngine
from codagent_train.rollout.rollout import rollout
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import group_specs
from codagent_train.run_dir import metrics
from codagent_train.training.trainer import Trainer, train
from tests.store.foreign import without_checksums

pytestmark = pytest.mark.usefixtures("hushed")


@pytest.fixture
def one(small):
    """A recipe of one pack."""
    return structs.replace(small, batch=BatchConfig(packs=1, group_size=8))


@pytest.fixture
def again(one, tmp_path):
    """The same, of which the pack is replayed from records of the untrained policy."""
    loaded = load_policy(one.policy, seed=0)
    sampler = Sampler(LocalEngine(loaded.model, pad=loaded.pad, ends=loaded.ends), loaded.tokenizer, "random@0")
    (starts,) = group_specs(one, [0], step=0, policy="random@0").values()
    for loop in rollout(sampler, starts):
        record(tmp_path / "loops" / loop.id / "record.jsonl", loop)
    return structs.replace(one, sources=SourcesConfig(play=0.0, replay=1.0), records=RecordsConfig((str(tmp_path / "loops"),), 2))


def record(path, loop):
    kept = Record(path, replace(loop, episodes=(), end=None))
    for episode in loop.episodes:
        kept.on_episode_start(replace(episode, steps=(), end=None, outcome=None, notes_after=None))
        for step in episode.steps:
            kept.on_reply(step.reply, step.context)
            kept.on_step(step)
        kept.on_episode_end(episode)
    kept.finish(loop.end)
    kept.close()


def collected(given, out, step=0):
    trainer = Trainer(given, load_policy(given.policy, seed=0), out)
    trainer.state.global_step = step
    (part,) = trainer._build_microbatches([0])
    return part


def test_a_replay_of_what_the_policy_has_just_said_is_learned_from_as_the_play_is(one, again, out):
    played, replayed = collected(one, out), collected(again, out)
    assert played.total > 0
    assert played.total == replayed.total
    for name in ("ids", "mask", "labels", "sampled_logprobs", "advantages"):
        assert torch.equal(getattr(played, name), getattr(replayed, name))


def gradient(given, out):
    trainer = Trainer(given, load_policy(given.policy, seed=0), out)
    (part,) = trainer._build_microbatches([0])
    trainer._compute_loss(trainer.model, part).backward()
    return torch.cat([each.grad.flatten() for each in trainer.model.parameters()])


def test_the_gradient_of_a_replay_of_what_the_policy_has_just_said_is_that_of_the_play(one, again, out):
    played, replayed = gradient(one, out), gradient(again, out)
    assert played.abs().max() > 1e-3
    assert (played - replayed).abs().max().item() < 1e-5


def test_what_is_too_old_by_now_is_not_learned_from(again, out):
    assert [collected(again, out, step).total > 0 for step in (2, 3)] == [True, False]


def test_more_is_clipped_the_older_the_records_are_and_the_last_step_of_nothing_changes_nothing(again, out):
    warm = structs.replace(again, learning=structs.replace(again.learning, learning_rate=0.01, entropy=0.0, steps=4, clip=0.05))
    train(warm, load_policy(warm.policy, seed=0), out)
    lines = metrics.read(out / metrics.FILE)
    clipped = [line["rows/clipped_share"] for line in lines[:3]]
    assert clipped[0] == 0.0
    assert clipped[0] < clipped[1] <= clipped[2]
    assert [line["rows/replay"] > 0 for line in lines] == [True, True, True, False]
    assert lines[3]["gradient/norm"] == 0.0


def test_rows_that_the_policy_has_moved_too_far_from_are_left_out_and_counted(again, out):
    fast = structs.replace(
        again,
        records=structs.replace(again.records, max_drift=0.01),
        learning=structs.replace(again.learning, learning_rate=0.01, steps=3, entropy=0.0),
    )
    loaded = load_policy(fast.policy, seed=0)
    train(fast, loaded, out)
    first, second, third = metrics.read(out / metrics.FILE)
    assert (first["rows/far"], first["drift/largest"]) == (0.0, pytest.approx(0.0, abs=1e-5))
    assert 0 < second["rows/far"] <= second["rows/count"]
    assert third["rows/far"] == third["rows/count"]
    assert third["gradient/norm"] == 0.0


def test_records_of_another_model_alone_are_refused(again, tmp_path, out):
    for path in (tmp_path / "loops").rglob("record.jsonl"):
        path.write_text(without_checksums(path.read_text()).replace("random@0", "other@0"))
    with pytest.raises(UsageError, match=r"can be replayed for random or out;"):
        collected(again, out)
