"""Computes the logprobs that a policy gives to trained tokens, and its entropies at their positions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

IGNORED = -100  # the label of a token that is not trained
PART_TOKENS = 2048  # rows go through the model in parts of so many tokens: little padding, and tensors that fit into caches


def token_logprobs(
    model: Any, ids: Tensor, mask: Tensor, labels: Tensor, *, head: torch.nn.Module, temperatures: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute the natural logprobs of the labels and the entropies in nats, (B, T - 1) float32 each. They are 0 where there is no label.

    `ids`, `mask` and `labels` are (B, T) int64, `temperatures` is (B,) float32, and `head` is the model's last layer. The head is applied
    only where there is a label: few tokens of a row are trained, and in a small model the head is as large as all other layers together.
    Rows of about the same length should stand side by side.
    """
    width, results = ids.shape[1], []
    for rows, longest in _parts(mask.sum(1).tolist()):
        part = one_pass_logprobs(
            model, ids[rows, :longest], mask[rows, :longest], labels[rows, :longest], head=head, temperatures=temperatures[rows]
        )
        results.append([functional.pad(tensor, (0, width - longest)) for tensor in part])
    logprobs, entropies = zip(*results, strict=True)
    return torch.cat(logprobs), torch.cat(entropies)


def _parts(lengths: list[int]) -> Iterator[tuple[slice, int]]:
    """Yield parts of consecutive rows and the longest length in each. A part has at most `PART_TOKENS` tokens with padding, or one row."""
    first, longest = 0, 0
    for row, length in enumerate(lengths):
        if row > first and (row + 1 - first) * max(longest, length) > PART_TOKENS:
            yield slice(first, row), longest
            first, longest = row, 0
        longest = max(longest, length)
    yield slice(first, len(lengths)), longest


def one_pass_logprobs(
    model: Any, ids: Tensor, mask: Tensor, labels: Tensor, *, head: torch.nn.Module, temperatures: Tensor
) -> tuple[Tensor, Tensor]:
    """As `token_logprobs`, in one pass through the model.

    Processes that share a model talk in each pass, and would wait for ever for one that makes fewer passes.
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
    """Within the context, apply the head only before the positions where `trained`, (B, T - 1) bool, is true."""
    hook = head.register_forward_pre_hook(lambda _, inputs: (inputs[0][:, :-1][trained], *inputs[1:]))
    try:
        yield
    finally:
        hook.remove()
