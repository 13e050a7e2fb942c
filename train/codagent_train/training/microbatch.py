"""Pads training samples into tensors that go through the model together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from codagent_train.data.copies import weigh_tokens
from codagent_train.data.samples import TrainingSample
from codagent_train.training.logprobs import IGNORED


@dataclass(frozen=True, slots=True)
class Microbatch:
    """Samples that go through the model together, one in a row."""

    ids: Tensor  # (B, T) int64
    mask: Tensor  # (B, T) int64: 1 for a token, 0 for padding
    labels: Tensor  # (B, T) int64: the id of a trained token, IGNORED elsewhere
    sampled_logprobs: Tensor  # (B, T - 1) float32: at t, the logprob of label t + 1 when it was sampled; 0 where there is none
    advantages: Tensor  # (B,) float32
    weights: Tensor  # (B, T - 1) float32: at t, how much label t + 1 counts; 1 on average over a reply
    temperatures: Tensor  # (B,) float32
    notes: Tensor  # (B,) bool: the row is of a notes episode
    imitated: Tensor  # (B,) bool
    total: float  # the trained tokens of the whole step, as a mean over the processes; 0: nothing is trained


def pad_samples(samples: Sequence[TrainingSample], pad: int, total: float, device: torch.device) -> Microbatch:
    """Pad samples on the right with the id `pad`.

    Without samples, the microbatch has one row in which nothing is trained: a process without samples must still take the step with the
    others.
    """
    width = max((sample.length for sample in samples), default=2)
    ids, mask, labels, sampled_logprobs, weights = [], [], [], [], []
    for sample in samples:
        padding = width - sample.length
        ids.append([*sample.ids, *[pad] * padding])
        mask.append([1] * sample.length + [0] * padding)
        labels.append([IGNORED] * width)
        sampled_logprobs.append([0.0] * (width - 1))
        weights.append([1.0] * (width - 1))
        for reply in sample.replies:
            begin, end = len(reply.prompt_ids), len(reply.prompt_ids) + len(reply.completion_ids)
            labels[-1][begin:end] = reply.completion_ids
            sampled_logprobs[-1][begin - 1 : end - 1] = reply.logprobs
            if sample.copied != 1.0:
                weights[-1][begin - 1 : end - 1] = weigh_tokens(reply, sample.copied)
    return Microbatch(
        ids=torch.tensor(ids or [[pad] * width], device=device),
        mask=torch.tensor(mask or [[1] * width], device=device),
        labels=torch.tensor(labels or [[IGNORED] * width], device=device),
        sampled_logprobs=torch.tensor(sampled_logprobs or [[0.0] * (width - 1)], device=device),
        advantages=torch.tensor([sample.advantage for sample in samples] or [0.0], device=device),
        weights=torch.tensor(weights or [[1.0] * (width - 1)], device=device),
        temperatures=torch.tensor([sample.temperature for sample in samples] or [1.0], device=device),
        notes=torch.tensor([sample.kind == "notes" for sample in samples] or [False], device=device),
        imitated=torch.tensor([sample.imitated for sample in samples] or [False], device=device),
        total=total,
    )
