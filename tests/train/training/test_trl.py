"""What the trainer takes for granted of trl and transformers: a release that changes it is to fail here first."""

import inspect

import pytest
import torch
from transformers import Trainer as Transformers
from trl import GRPOTrainer

from codagent_train.policy.load import load_policy
from codagent_train.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("hushed")


def names(function):
    return list(inspect.signature(function).parameters)


def test_the_two_methods_are_asked_as_they_were():
    assert names(GRPOTrainer._prepare_inputs) == names(Trainer._prepare_inputs) == ["self", "generation_batch"]
    assert names(GRPOTrainer._compute_loss) == names(Trainer._compute_loss) == ["self", "model", "inputs"]


@pytest.mark.parametrize("name", ["_load_from_checkpoint", "_load_optimizer_and_scheduler", "_load_rng_state"])
def test_the_methods_that_read_a_checkpoint_are_asked_as_they_were(name):
    assert names(getattr(GRPOTrainer, name)) == names(getattr(Trainer, name))


def test_nothing_else_of_the_training_is_replaced():
    ours = {name for name, value in vars(Trainer).items() if inspect.isfunction(value)}
    theirs = {name for kind in GRPOTrainer.__mro__ for name in vars(kind)}
    assert ours & theirs == {"__init__", "_prepare_inputs", "_compute_loss"}


def test_the_attributes_are_there(small, out):
    trainer = Trainer(small, load_policy(small.policy, seed=0), out)
    assert trainer._step == 0
    assert trainer._metrics["train"]["anything"] == []
    assert trainer.args.gradient_accumulation_steps == trainer.args.steps_per_generation == 1
    assert trainer.state.global_step == 0


def test_the_head_that_makes_no_logits_gives_the_logprob_and_entropy_of_each_label(small, out):
    loaded = load_policy(small.policy, seed=0)
    Trainer(small, loaded, out)
    ids, labels = torch.tensor([[4, 6, 1, 2]]), torch.tensor([[-100, -100, 1, 2]])
    found = loaded.model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels, fused_lm_head=True)
    logprobs = loaded.model(input_ids=ids).logits[0].log_softmax(-1)
    entropy = -(logprobs.exp() * logprobs).sum(-1)
    assert found.log_probs[0].tolist() == pytest.approx([0, logprobs[1, 1].item(), logprobs[2, 2].item()], abs=1e-5)
    assert found.entropy[0].tolist() == pytest.approx([0, entropy[1].item(), entropy[2].item()], abs=1e-5)


def test_a_loss_is_not_divided_by_the_number_of_parts():
    assert Trainer.loss_is_scaled_for_ga is True
    assert "if not loss_is_scaled_for_ga:" in inspect.getsource(Transformers.training_step)
