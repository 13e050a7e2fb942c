"""What a policy thinks of replies: the logprob of each trained token, and the entropy of what it might have said there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

IGNORED = -100  # as a label


def token_logprobs(
    model: Any, ids: Tensor, mask: Tensor, labels: Tensor, *, head: torch.nn.Module, temperatures: Tensor
) -> tuple[Tensor, Tensor]:
    """Natural logprobs of the labels and entropies in nats, (B, T - 1) float32 each, from `ids`, `mask` and `labels` (B, T) int64, at the
    `temperatures` (B,) of the rows.

    `head` is the model's last layer. It is applied where there is a label and nowhere else, which on a CPU is most of the saving: of a
    row, few tokens are trained, and the head is as large as all other layers of a small model.
    """
    trained = labels[:, 1:] != IGNORED
    with _head_on(head, trained):
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    scales = temperatures[:, None].expand(trained.shape)[trained]
    table = (logits.float() / scales[:, None]).log_softmax(dim=-1)
    chosen = table.gather(1, labels[:, 1:][trained][:, None])[:, 0]
    entropy = -(table.exp() * table).sum(dim=-1)
    blank = torch.zeros(trained.shape, device=ids.device)
    return blank.masked_scatter(trained, chosen), blank.masked_scatter(trained, entropy)


@contextmanager
def _head_on(head: torch.nn.Module, trained: Tensor) -> Iterator[None]:
    """Meanwhile the head reads only what is before the places that are kept."""
    hook = head.register_forward_pre_hook(lambda _, inputs: (inputs[0][:, :-1][trained], *inputs[1:]))
    try:
        yield
    finally:
        hook.remove()
