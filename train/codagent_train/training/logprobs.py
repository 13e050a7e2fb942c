"""What a policy thinks of replies: the logprob of each trained token, and the entropy of what it might have said there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

IGNORED = -100  # as a label


def scored(model: Any, ids: Tensor, mask: Tensor, labels: Tensor, *, head: torch.nn.Module, temperatures: Tensor) -> tuple[Tensor, Tensor]:
    """Natural logprobs of the labels and entropies in nats, (B, T - 1) float32 each, from `ids`, `mask` and `labels` (B, T) int64, at the
    `temperatures` (B,) of the rows.

    `head` is the model's last layer. It is applied where there is a label and nowhere else, which on a CPU is most of the saving: of a
    row, few tokens are trained, and the head is as large as all other layers of a small model.
    """
    kept = labels[:, 1:] != IGNORED
    with _only(head, kept):
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    each = temperatures[:, None].expand(kept.shape)[kept]
    every = (logits.float() / each[:, None]).log_softmax(dim=-1)
    chosen = every.gather(1, labels[:, 1:][kept][:, None])[:, 0]
    entropy = -(every.exp() * every).sum(dim=-1)
    blank = torch.zeros(kept.shape, device=ids.device)
    return blank.masked_scatter(kept, chosen), blank.masked_scatter(kept, entropy)


@contextmanager
def _only(head: torch.nn.Module, kept: Tensor) -> Iterator[None]:
    """Meanwhile the head reads only what is before the places that are kept."""
    hook = head.register_forward_pre_hook(lambda _, given: (given[0][:, :-1][kept], *given[1:]))
    try:
        yield
    finally:
        hook.remove()
