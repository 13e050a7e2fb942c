"""The one-sided loss REC-OneSide-NoIS (arXiv 2509.24203), as arXiv 2606.20002 uses it, as functions of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def one_sided_loss(logprobs: Tensor, sampled_logprobs: Tensor, advantages: Tensor, *, clip: float) -> Tensor:
    """Compute -advantage * logprob of each token, (B, T) float32; 0, without a gradient, where `clip_mask` is true.

    `logprobs` are those of the policy that is trained, and `sampled_logprobs` those of the policy that sampled the tokens: (B, T) float32
    each. `advantages` is (B,) float32. There is no importance weight.
    """
    unclipped = ~clip_mask(logprobs, sampled_logprobs, advantages, clip=clip)
    return -advantages[:, None] * logprobs * unclipped


def clip_mask(logprobs: Tensor, sampled_logprobs: Tensor, advantages: Tensor, *, clip: float) -> Tensor:
    """Mark the tokens to leave out, (B, T) bool.

    Its ratio is the probability under the trained policy over that under the sampling policy. It is left out when the ratio is above
    1 + `clip` and the advantage is 0 or more, or when the ratio is below 1 - `clip` and the advantage is negative. Arguments as in
    `one_sided_loss`.
    """
    ratio = (logprobs.detach() - sampled_logprobs).exp()
    good = advantages[:, None] >= 0
    return (good & (ratio > 1 + clip)) | (~good & (ratio < 1 - clip))


def drift(logprobs: Tensor, sampled_logprobs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Compute |logprob - sampled logprob| of each token, (B, T) float32, and its mean over each row, (B,) float32.

    It is 0 where `mask`, (B, T) bool, is false, and the mean is over the other tokens; 0 for a row without such tokens.
    """
    distance = (logprobs.detach() - sampled_logprobs).abs() * mask
    return distance, distance.sum(1) / mask.sum(1).clamp(min=1)


def token_mean(values: Tensor, mask: Tensor, total: float) -> Tensor:
    """Sum `values`, (B, T) float32, where `mask`, (B, T) bool, is true, and divide by `total`. Returns a scalar.

    `total` is the number of trained tokens of the whole step, so the results of its microbatches add up to the mean.
    """
    return (values * mask).sum() / total
