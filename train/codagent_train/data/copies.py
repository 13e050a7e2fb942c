"""Finds what a reply copies out of its prompt. A reply that mends a function repeats most of it; what it learns from is the rest.

Does not import torch.
"""

from __future__ import annotations

from codagent.types import Tokens

_RUN = 3  # tokens before a copied one that stand before it in the prompt too: the number of a line has as many


def find_copied(reply: Tokens) -> list[bool]:
    """Say of each completion token whether it goes on as the prompt does after the place that has most of the tokens before it.

    Of a line that was mended, only what differs from this very line is not copied, even if it stands in another.
    """
    prompt = reply.prompt_ids
    alike = [0] * len(prompt)  # how many of the latest tokens stand in the prompt before and at each place
    copied: list[bool] = []
    for token in reply.completion_ids:
        most = max(alike[:-1], default=0)
        copied.append(most >= _RUN and any(token == prompt[at + 1] for at in range(len(prompt) - 1) if alike[at] == most))
        alike = [1 + before if token == here else 0 for before, here in zip([0, *alike], prompt, strict=False)]
    return copied


def weigh_tokens(reply: Tokens, copied: float) -> list[float]:
    """Return the weight of each completion token, 1 on average: `copied` times as much for a copied token as for any other."""
    weights = [copied if is_copied else 1.0 for is_copied in find_copied(reply)]
    mean = sum(weights) / max(1, len(weights))
    return [weight / mean if mean else 1.0 for weight in weights]
