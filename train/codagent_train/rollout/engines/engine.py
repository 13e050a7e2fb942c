"""The Protocol of an engine, which samples completions for a batch of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from codagent.types import Sampling, Tokens
from codagent_train.policy.tokenizer import Ids

MAX_BATCH_TOKENS = 2**16  # most tokens, of prompts and completions, for which an engine in this process holds keys and values at a time


class Engine(Protocol):
    """Samples a completion for each prompt of a batch.

    Each prompt has its own sampling, with a temperature, a seed and `max_tokens`; top_p is 1 and top_k is 0. A completion ends with an id
    in `ends`, or has `max_tokens` ids. The returned logprobs are natural logarithms under the distribution that was sampled from, which
    includes the temperature. A completion depends on its prompt, its sampling and the weights. The other prompts of the batch change it
    only by rounding.
    """

    @property
    def ends(self) -> frozenset[int]: ...
    def generate(self, prompts: Sequence[Ids], samplings: Sequence[Sampling]) -> list[Tokens]: ...
