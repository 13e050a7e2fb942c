"""Finds what a reply copies out of its prompt. A reply that mends a function repeats most of it; what it learns from is the rest.

Does not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from codagent.types import Tokens

_RUN = 6  # tokens before a copied one that stand before it in the prompt too


def find_copied(reply: Tokens) -> list[bool]:
    """Say of each completion token whether it goes on as the prompt does: it and the tokens before it stand side by side in the prompt."""
    known = set(_list_runs(reply.prompt_ids))
    return [False] * min(_RUN, len(reply.completion_ids)) + [run in known for run in _list_runs(reply.completion_ids)]


def weigh_tokens(reply: Tokens, copied: float) -> list[float]:
    """Return the weight of each completion token, 1 on average: `copied` times as much for a copied token as for any other."""
    weights = [copied if is_copied else 1.0 for is_copied in find_copied(reply)]
    mean = sum(weights) / max(1, len(weights))
    return [weight / mean if mean else 1.0 for weight in weights]


def _list_runs(ids: Sequence[int]) -> list[tuple[int, ...]]:
    return [tuple(ids[end - _RUN : end + 1]) for end in range(_RUN, len(ids))]
