"""Rows as tensors: a part of a step that goes through the model at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from codagent_train.data.samples import Row
from codagent_train.training.logprobs import IGNORED


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that go through the model together: `ids`, `mask` and `labels` (B, T) int64; `old` (B, T - 1) float32, the logprob of the label
    after each place when it was sampled; `advantages` and `temperatures` (B,) float32; `imitated` (B,) bool. `total` is the trained tokens
    of the step, over the processes."""

    ids: Tensor
    mask: Tensor
    labels: Tensor
    old: Tensor
    advantages: Tensor
    temperatures: Tensor
    imitated: Tensor
    total: float


def tensors(rows: Sequence[Row], pad: int, total: float, device: torch.device) -> Part:
    """Rows padded on the right. Without any, a blank one of which nothing is trained: processes take their steps together."""
    width = max((row.length for row in rows), default=2)
    ids, mask, labels, old = [], [], [], []
    for row in rows:
        left = width - row.length
        ids.append([*row.ids, *[pad] * left])
        mask.append([1] * row.length + [0] * left)
        labels.append([IGNORED] * width)
        old.append([0.0] * (width - 1))
        for reply in row.replies:
            begin, end = len(reply.prompt_ids), len(reply.prompt_ids) + len(reply.completion_ids)
            labels[-1][begin:end] = reply.completion_ids
            old[-1][begin - 1 : end - 1] = reply.logprobs
    return Part(
        ids=torch.tensor(ids or [[pad] * width], device=device),
        mask=torch.tensor(mask or [[1] * width], device=device),
        labels=torch.tensor(labels or [[IGNORED] * width], device=device),
        old=torch.tensor(old or [[0.0] * (width - 1)], device=device),
        advantages=torch.tensor([row.advantage for row in rows] or [0.0], device=device),
        temperatures=torch.tensor([row.temperature for row in rows] or [1.0], device=device),
        imitated=torch.tensor([row.imitated for row in rows] or [False], device=device),
        total=total,
    )
