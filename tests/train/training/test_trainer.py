"""The trainer against a bare torch loop, and what it does when there is nothing to learn, or too much."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from msgspec import structs
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from codagent.errors import UsageError
from codagent.types import Tokens
from codagent_train.data.credit import BASELINES, paper
from codagent_train.data.samples import TrainingSample, build_samples, key_loops
from codagent_train.errors import Diverged
from codagent_train.policy.load import load_policy
from codagent_train.rollout.engines.transformers_loop import LocalEngine
from codagent_train.rollout.rollout import rollout
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import group_specs
from codagent_train.run_dir import metrics
from codagent_train.run_dir.weights_ref import read_base, read_rank
from codagent_train.training.logprobs import IGNORED
from codagent_train.training.microbatch import pad_samples
from codagent_train.training.trainer import Trainer, train

pytestmark = pytest.mark.usefixtures("hushed")

# prompts and replies, row by row
UNEVEN = [
    [((4, 6), (1,)), ((4, 6, 1, 3), (2, 0)), ((4, 6, 1, 3, 2, 0, 5, 5), (6,))],
    [((5, 1, 2, 3), (0, 2, 6))],
    [((5,), (2, 2))],
    [((4, 2, 2, 0, 0, 1), (3, 0, 1, 6))],
    [((4, 4, 1), (5,)), ((4, 4, 1, 5, 1), (1,))],
]


def weights(model):
    return torch.cat([each.detach().flatten() for each in model.parameters()])


def bare_loss(model, rows, recipe):
    """One reply at a time, unpadded, with logits; on-policy, so that nothing is clipped."""
    total = sum(row.trained_tokens for row in rows)
    loss = torch.zeros(())
    for row in rows:
        for reply in row.replies:
            logprobs = of_reply(model, reply.prompt_ids, reply.completion_ids)
            taken = logprobs.gather(1, torch.tensor(reply.completion_ids)[:, None]).sum()
            entropy = -(logprobs.exp() * logprobs).sum()
            loss = loss - (row.advantage * taken + recipe.learning.entropy * entropy) / total
    return loss


def of_reply(model, asked, said):
    """Logprobs of all tokens at each place of a reply."""
    return model(input_ids=torch.tensor([asked + said])).logits[0, -len(said) - 1 : -1].log_softmax(-1)


def test_the_gradient_is_that_of_replies_taken_one_at_a_time_without_padding(small, out):
    loaded = load_policy(small.policy, seed=0)
    trainer = Trainer(small, loaded, out)
    model = loaded.model
    rows = []
    for number, chain in enumerate(UNEVEN):
        replies = []
        for asked, said in chain:
            with torch.no_grad():
                logprobs = of_reply(model, asked, said)
            replies.append(Tokens(asked, said, tuple(logprobs[place, one].item() for place, one in enumerate(said))))
        rows.append(TrainingSample(tuple(replies), (-1) ** number * (0.5 + number), "solve", 0))
    total = float(sum(row.trained_tokens for row in rows))
    for part in (rows[:3], rows[3:], []):
        trainer._compute_loss(model, pad_samples(part, 6, total, torch.device("cpu"))).backward()
    found = [each.grad.clone() for each in model.parameters()]
    model.zero_grad()
    bare_loss(model, rows, small).backward()
    assert max((mine - each.grad).abs().max().item() for mine, each in zip(found, model.parameters(), strict=True)) < 1e-6


def test_copied_tokens_have_their_part_of_the_loss(small, out):
    plain = structs.replace(small, learning=structs.replace(small.learning, entropy=0.0))
    trainer = Trainer(plain, load_policy(small.policy, seed=0), out)
    asked, said = (1, 2, 3, 4, 5, 6, 0, 4, 2), (1, 2, 3, 4, 5, 6, 0, 1)
    row = TrainingSample((Tokens(asked, said, (0.0,) * 8),), 1.0, "solve", 0, imitated=True, copied=0.25)
    loss = trainer._compute_loss(trainer.model, pad_samples([row], 6, 8.0, torch.device("cpu")))
    lost = -of_reply(trainer.model, asked, said).gather(1, torch.tensor(said)[:, None])[:, 0]
    weights = torch.tensor([1.0] * 3 + [0.25] * 4 + [1.0])  # the fourth to the seventh go on as the prompt does
    assert loss.item() == pytest.approx((lost * weights * 8 / 5).mean().item(), abs=1e-5)


def test_a_step_that_learns_nothing_has_its_loss_on_the_device_of_the_model(small, out):
    """Where a GPU computes, accelerate refuses a loss on the CPU. "meta" stands for such a device."""
    trainer = Trainer(small, load_policy(small.policy, seed=0), out)
    loss = trainer._compute_loss(trainer.model, pad_samples([], 6, 0.0, torch.device("meta")))
    assert loss.device == torch.device("meta")
    assert loss.requires_grad


def test_what_is_scored_is_what_trl_would_score(small, out):
    warm = structs.replace(small, replies=structs.replace(small.replies, temperature=0.7))
    trainer = Trainer(warm, load_policy(small.policy, seed=0), out)
    rows = [
        TrainingSample(tuple(Tokens(asked, said, (0.0,) * len(said)) for asked, said in chain), 1.0, "solve", 0, 0.7) for chain in UNEVEN
    ]
    part = pad_samples(rows, 6, 1.0, torch.device("cpu"))
    mine = trainer._token_logprobs(trainer.model, part)
    theirs = trainer.model(input_ids=part.ids, attention_mask=part.mask, labels=part.labels, fused_lm_head=True)
    kept = part.labels[:, 1:] != IGNORED
    assert kept.sum() == sum(row.trained_tokens for row in rows)
    assert torch.allclose(mine[0][kept], theirs.log_probs[kept], atol=1e-5)
    assert torch.allclose(mine[1][kept], theirs.entropy[kept], atol=1e-5)


def test_each_row_is_scored_at_the_temperature_that_it_was_sampled_at(small, out):
    trainer = Trainer(small, load_policy(small.policy, seed=0), out)
    row = TrainingSample((Tokens((4, 6), (1, 2), (0.0, 0.0)),), 1.0, "solve", 0)
    both = pad_samples([replace(row, temperature=0.5), replace(row, temperature=2.0)], 6, 1.0, torch.device("cpu"))
    logits = trainer.model(input_ids=both.ids[:1]).logits[0, 1:3]
    for found, temperature in zip(trainer._token_logprobs(trainer.model, both)[0], (0.5, 2.0), strict=True):
        expected = (logits / temperature).log_softmax(-1).gather(1, torch.tensor([[1], [2]]))[:, 0]
        assert torch.allclose(found[1:], expected, atol=1e-6)


def test_a_run_takes_the_steps_of_a_bare_torch_loop(small, out):
    trained, bare = load_policy(small.policy, seed=0), load_policy(small.policy, seed=0)
    parted = structs.replace(small, batch=structs.replace(small.batch, microbatches=4))
    train(parted, trained, out)
    optimizer = torch.optim.AdamW(bare.model.parameters(), lr=small.learning.learning_rate, weight_decay=0.0)
    sampler = Sampler(LocalEngine(bare.model, pad=bare.pad, ends=bare.ends), bare.tokenizer, "bare")
    for step in range(small.learning.steps):
        packs = [step * small.batch.packs + number for number in range(small.batch.packs)]
        starts = group_specs(small, packs, step=step, policy="bare")
        played = {pack: rollout(sampler, group) for pack, group in starts.items()}
        rows = build_samples(key_loops("play", played), returns=paper, baseline=BASELINES["mean"], reweight=False).samples
        bare_loss(bare.model, rows, small).backward()
        torch.nn.utils.clip_grad_norm_(bare.model.parameters(), small.learning.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
    assert (weights(trained.model) - weights(bare.model)).abs().max().item() < 1e-4


def test_a_step_with_nothing_to_learn_is_not_taken_not_even_by_weight_decay(small, out):
    cold = structs.replace(small.replies, temperature=1e-6)  # all loops of a group do the same
    loaded = load_policy(small.policy, seed=0)
    before = weights(loaded.model)
    train(structs.replace(small, replies=cold, learning=structs.replace(small.learning, weight_decay=0.5)), loaded, out)
    assert [(line["groups/dead"], line["rows/count"]) for line in metrics.read(out / metrics.FILE)] == [(4, 0)] * 4
    assert torch.equal(weights(loaded.model), before)


def test_weights_that_lead_nowhere_stop_the_run_and_the_checkpoint_before_is_kept(small, out):
    wild = structs.replace(small, learning=structs.replace(small.learning, learning_rate=1e15, save_every=1))
    with pytest.raises(Diverged, match="start again with a lower `learning_rate`"):
        train(wild, load_policy(small.policy, seed=0), out)
    assert [path.name for path in out.glob("checkpoint-*")] == ["checkpoint-1"]


def test_a_loss_that_is_no_number_is_told_with_its_step(small, out):
    trainer = Trainer(small, load_policy(small.policy, seed=0), out)
    rows = [TrainingSample((Tokens((4, 6), (1,), (-1.0,)),), float("nan"), "solve", 0)]
    with pytest.raises(Diverged, match="the loss is nan in step 1"):
        trainer._compute_loss(trainer.model, pad_samples(rows, 6, 1.0, torch.device("cpu")))


def test_a_run_that_goes_on_ends_as_one_that_was_never_broken_off(small, out, tmp_path):
    whole = load_policy(small.policy, seed=0)
    train(small, whole, tmp_path / "whole")
    train(structs.replace(small, learning=structs.replace(small.learning, steps=2)), load_policy(small.policy, seed=0), out)
    resumed = load_policy(small.policy, seed=99)
    train(small, resumed, out, last=out / "checkpoint-2")
    assert torch.equal(weights(whole.model), weights(resumed.model))
    timeless = [
        [{name: value for name, value in line.items() if name != "seconds/step"} for line in metrics.read(folder / metrics.FILE)]
        for folder in (tmp_path / "whole", out)
    ]
    assert timeless[0] == timeless[1]
    assert len(timeless[0]) == 4


def test_every_step_is_told_and_written(small, out):
    told = []
    train(small, load_policy(small.policy, seed=0), out, on_step=lambda step, values: told.append((step, values)))
    lines = [json.loads(line) for line in (out / metrics.FILE).read_text().splitlines()]
    assert [{"step": step, **values} for step, values in told] == lines
    assert {"reward/position_3", "loss/policy", "rows/clipped_share", "groups/dead", "notes/malformed"} <= lines[0].keys()


def test_an_adapter_of_which_nothing_would_be_trained_is_refused(small, adapters, folder, tmp_path):
    weights = shutil.copytree(adapters[0], tmp_path / "adapter")
    AutoTokenizer.from_pretrained(folder).save_pretrained(weights)
    bare = structs.replace(small, policy=structs.replace(small.policy, weights=str(weights)))
    with pytest.raises(UsageError, match="is an adapter, whose own weights are not trained; set `lora_rank`"):
        Trainer(bare, load_policy(bare.policy, seed=0), tmp_path)


def test_a_run_that_begins_with_an_adapter_goes_on_with_that_adapter(small, adapters, folder, tmp_path):
    start = Path(shutil.copytree(adapters[0], tmp_path / "adapter"))
    AutoTokenizer.from_pretrained(folder).save_pretrained(start)
    going_on = structs.replace(
        small,
        policy=structs.replace(small.policy, weights=str(start), lora_rank=read_rank(start)),
        learning=structs.replace(small.learning, learning_rate=1e-4),
    )
    policy = load_policy(going_on.policy, seed=0, to_train=True)
    ids = torch.tensor([[4, 6, 1, 3]])
    with torch.inference_mode():
        assert torch.equal(policy.model(ids).logits, AutoModelForCausalLM.from_pretrained(start)(ids).logits)
    train(going_on, policy, tmp_path / "run")  # where nothing is earned, so that nothing is learned
    before, after = (load_file(folder / "adapter_model.safetensors") for folder in (start, max((tmp_path / "run").glob("checkpoint-*"))))
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=0) for name in before)
    assert read_base(max((tmp_path / "run").glob("checkpoint-*"))) == read_base(start)
    trainer = Trainer(going_on, policy, tmp_path)
    rows = [TrainingSample((Tokens((4, 6), (1,), (-1.0,)),), 1.0, "solve", 0, imitated=True)]
    trainer._compute_loss(trainer.model, pad_samples(rows, 6, 1.0, torch.device("cpu"))).backward()
    learned = {name for name, each in trainer.model.named_parameters() if each.grad is not None and each.grad.any()}
    assert {name.split(".")[-3] for name in learned} == {"lora_A", "lora_B"}
    other = structs.replace(going_on.policy, lora_rank=read_rank(start) + 1)
    with pytest.raises(UsageError, match=r"has the rank \d+, and the recipe \d+; set lora_rank = "):
        load_policy(other, seed=0, to_train=True)
