"""Training samples as tensors: what of a step goes through the model at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from codagent_train.data.samples import TrainingSample
from codagent_train.training.logprobs import IGNORED


@dataclass(frozen=True, slots=True)
class Microbatch:
    """Samples that go through the model together: `ids`, `mask` and `labels` (B, T) int64; `sampled_logprobs` (B, T - 1) float32, the
    logprob of the label after each place when it was sampled; `advantages` and `temperatures` (B,) float32; `imitated` (B,) bool. `total`
    is the trained tokens of the step, over the processes."""

    ids: Tensor
    mask: Tensor
    labels: Tensor
    sampled_logprobs: Tensor
    advantages: Tensor
    temperatures: Tensor
    imitated: Tensor
    total: float


def pad_samples(samples: Sequence[TrainingSample], pad: int, total: float, device: torch.device) -> Microbatch:
    """Samples padded on the right. Without any, a blank one of which nothing is trained: processes take their steps together."""
    width = max((sample.length for sample in samples), default=2)
    ids, mask, labels, sampled_logprobs = [], [], [], []
    for sample in samples:
        padding = width - sample.length
        ids.append([*sample.ids, *[pad] * padding])
        mask.append([1] * sample.length + [0] * padding)
        labels.append([IGNORED] * width)
        sampled_logprobs.append([0.0] * (width - 1))
        for reply in sample.replies:
            begin, end = len(reply.prompt_ids), len(reply.prompt_ids) + len(reply.completion_ids)
            labels[-1][begin:end] = reply.completion_ids
            sampled_logprobs[-1][begin - 1 : end - 1] = reply.logprobs
    return Microbatch(
        ids=torch.tensor(ids or [[pad] * width], device=device),
        mask=torch.tensor(mask or [[1] * width], device=device),
        labels=torch.tensor(labels or [[IGNORED] * width], device=device),
        sampled_logprobs=torch.tensor(sampled_logprobs or [[0.0] * (width - 1)], device=device),
        advantages=torch.tensor([sample.advantage for sample in samples] or [0.0], device=device),
        temperatures=torch.tensor([sample.temperature for sample in samples] or [1.0], device=device),
        imitated=torch.tensor([sample.imitated for sample in samples] or [False], device=device),
        total=total,
    )
