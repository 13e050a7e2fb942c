"""The loss, as functions of tensors: REC-OneSide-NoIS (arXiv 2509.24203), as arXiv 2606.20002 uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def one_sided_loss(logprobs: Tensor, sampled_logprobs: Tensor, advantages: Tensor, *, clip: float) -> Tensor:
    """-A log p of each token that the clip mask leaves, without an importance weight; the others have no gradient.

    `logprobs` and `sampled_logprobs`, those of the policy that sampled, are (B, T) float32; `advantages` is (B,). The result is (B, T).
    """
    unclipped = ~clip_mask(logprobs, sampled_logprobs, advantages, clip=clip)
    return -advantages[:, None] * logprobs * unclipped


def clip_mask(logprobs: Tensor, sampled_logprobs: Tensor, advantages: Tensor, *, clip: float) -> Tensor:
    """(B, T) bool: which tokens have gone far enough already in the direction in which their advantage pushes them."""
    ratio = (logprobs.detach() - sampled_logprobs).exp()
    good = advantages[:, None] >= 0
    return (good & (ratio > 1 + clip)) | (~good & (ratio < 1 - clip))


def drift(logprobs: Tensor, sampled_logprobs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """How far the policy is from the one that sampled: |log p - old| of each token, 0 where the (B, T) `mask` is not, and its mean over
    each row, (B,)."""
    distance = (logprobs.detach() - sampled_logprobs).abs() * mask
    return distance, distance.sum(1) / mask.sum(1).clamp(min=1)


def token_mean(values: Tensor, mask: Tensor, total: float) -> Tensor:
    """The sum of the (B, T) `values` where the (B, T) `mask` is, over the tokens of the whole step, of which these are a part."""
    return (values * mask).sum() / total
