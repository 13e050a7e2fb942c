"""The loss with numbers worked by hand."""

from math import log

import pytest
import torch

from codagent_train.training.loss import clip_mask, drift, one_sided_loss, token_mean

pytestmark = pytest.mark.usefixtures("hushed")

# two rows of two tokens; old probabilities 0.5, so that the ratio is twice the probability
OLD = torch.full((2, 2), log(0.5))
NOW = torch.log(torch.tensor([[0.5, 0.61], [0.39, 0.7]]))
WORTH = torch.tensor([2.0, -1.0])


def test_a_token_has_minus_its_advantage_times_its_logprob_without_a_ratio():
    # ratios 1.0, 1.22 of a good row: the second is beyond 1.2; 0.78, 1.4 of a bad one: the first is below 0.8
    found = one_sided_loss(NOW, OLD, WORTH, clip=0.2)
    assert found.flatten().tolist() == pytest.approx([-2 * log(0.5), 0, 0, log(0.7)])


def test_only_what_has_gone_too_far_where_its_advantage_pushes_is_clipped():
    assert clip_mask(NOW, OLD, WORTH, clip=0.2).tolist() == [[False, True], [True, False]]
    assert clip_mask(NOW, OLD, -WORTH, clip=0.2).tolist() == [[False, False], [False, True]]
    assert not clip_mask(OLD, OLD, WORTH, clip=0.0).any()


def test_the_gradient_is_that_of_plain_policy_gradient_where_nothing_is_clipped():
    now = NOW.clone().requires_grad_()
    token_mean(one_sided_loss(now, OLD, WORTH, clip=0.2), torch.ones(2, 2), 4).backward()
    assert now.grad.tolist() == [[-0.5, 0.0], [0.0, 0.25]]


def test_the_mean_is_over_the_tokens_of_the_whole_step():
    values, mask = torch.tensor([[1.0, 2.0], [4.0, 8.0]]), torch.tensor([[True, False], [True, True]])
    assert token_mean(values, mask, 26.0).item() == 0.5


def test_drift_is_how_far_logprobs_moved_and_its_mean_is_over_what_was_sampled_in_a_row():
    old, now = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, -1.0, -1.0]]), torch.tensor([[-1.5, -1.0, -9.0], [-7.0, -7.0, -7.0]])
    each, by_row = drift(now, old, torch.tensor([[True, True, False], [False, False, False]]))
    assert each.tolist() == [[0.5, 1.0, 0.0], [0.0, 0.0, 0.0]]
    assert by_row.tolist() == [0.75, 0.0]
