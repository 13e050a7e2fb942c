"""Logprobs of rows that go through the model in parts, and the weight of the entropy bonus."""

import pytest
import torch
from msgspec.structs import replace

from codagent.types import Tokens
from codagent_train.data.samples import TrainingSample
from codagent_train.policy.load import load_policy, make_tiny
from codagent_train.training import logprobs
from codagent_train.training.microbatch import pad_samples
from codagent_train.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("hushed")

CPU = torch.device("cpu")


def sample(length, kind="solve"):
    return TrainingSample((Tokens((4, 6) * length, (length % 3, 1), (-1.0, -1.0)),), 1.0, kind, 0)


@pytest.mark.parametrize("room", [1, 12, 40])
@pytest.mark.parametrize("lengths", [(1, 1, 2, 3, 5, 8), (3,), (8, 1, 1, 1)])
def test_parts_of_any_size_have_the_same_logprobs_and_gradients(monkeypatch, room, lengths):
    torch.manual_seed(0)
    model = make_tiny().model
    rows = pad_samples([sample(length) for length in lengths], 6, 1.0, CPU)
    found = []
    for part in (room, 10**6):
        monkeypatch.setattr(logprobs, "PART_TOKENS", part)
        model.zero_grad()
        values = logprobs.token_logprobs(model, rows.ids, rows.mask, rows.labels, head=model.lm_head, temperatures=rows.temperatures)
        (values[0].sum() + values[1].sum()).backward()
        found.append([*values, *(each.grad.clone() for each in model.parameters())])
    assert all(torch.allclose(mine, whole, atol=1e-4) for mine, whole in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("step", "solve", "notes"), [(0, 0.02, 0.01), (5, 0.01, 0.005), (9, 0.002, 0.001), (10, 0.002, 0.001), (500, 0.002, 0.001)]
)
def test_the_entropy_bonus_falls_to_a_tenth_and_notes_have_their_own(small, out, step, solve, notes):
    learning = replace(small.learning, entropy=0.02, notes_entropy=0.01, entropy_steps=10)
    trainer = Trainer(replace(small, learning=learning), load_policy(small.policy, seed=0), out)
    trainer.state.global_step = step
    rows = pad_samples([sample(1), sample(1, "notes")], 6, 1.0, CPU)
    assert trainer._entropy_weights(rows.notes).tolist() == pytest.approx([solve, notes])


def test_one_weight_that_does_not_fall_is_for_all_tokens(small, out):
    trainer = Trainer(small, load_policy(small.policy, seed=0), out)
    trainer.state.global_step = 10**6
    assert trainer._entropy_weights(torch.tensor([True, False])).tolist() == pytest.approx([small.learning.entropy] * 2)
