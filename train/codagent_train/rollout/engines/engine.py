"""The Protocol of engines, which sample replies for many loops at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from codagent.types import Sampling, Tokens
from codagent_train.policy.tokenizer import Ids

MAX_BATCH_TOKENS = 2**16  # tokens, what is to come included, whose keys and values an engine in this process holds at a time


class Engine(Protocol):
    """Samples a completion for each prompt, all of them in one batch.

    Every sampling has its temperature and seed set, and nothing cut from the distribution. The logprobs are natural logs under what was
    sampled from. A completion ends with an id in `ends`, or has `max_tokens` ids. What comes of a prompt follows from the prompt, its
    sampling and the weights, not from its neighbours (but for rounding).
    """

    @property
    def ends(self) -> frozenset[int]: ...
    def generate(self, prompts: Sequence[Ids], samplings: Sequence[Sampling]) -> list[Tokens]: ...
