"""The default engine: samples from a transformers model in this process, token by token.

It does not use transformers' `generate`, which has one seed for a whole batch and returns logprobs only with the logits of all steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from codagent.types import Sampling, Tokens
from codagent_train.errors import Diverged
from codagent_train.policy.tokenizer import Ids
from codagent_train.rollout.engines.engine import MAX_BATCH_TOKENS, BatchStream, CompletionStream


class LocalEngine:
    """An Engine over a causal language model. The model may be trained between two calls and keeps its training or evaluation mode."""

    def __init__(self, model: Any, *, pad: int, ends: frozenset[int]) -> None:
        self._model, self._pad, self.ends = model, pad, ends

    def generate(self, prompts: Sequence[Ids], samplings: Sequence[Sampling]) -> list[Tokens]:
        """Sample a completion for each prompt. Raises Diverged when the weights are not finite."""
        tokens: dict[int, Tokens] = {}
        lengths = [len(prompt) + sampling.max_tokens for prompt, sampling in zip(prompts, samplings, strict=True)]
        with evaluating(self._model):
            for batch in split_into_batches(lengths):
                done = self._generate([prompts[row] for row in batch], [samplings[row] for row in batch])
                tokens |= zip(batch, done, strict=True)
        return [tokens[row] for row in range(len(prompts))]

    @contextmanager
    def open_stream(self, slots: int) -> Iterator[CompletionStream]:
        """Open a stream. The weights must not change while it is open."""
        from codagent_train.rollout.engines.slots import SlotStream

        with evaluating(self._model):
            yield SlotStream(self._model, slots=slots, ends=self.ends, alone=self) if can_merge(self._model) else BatchStream(self)

    def _generate(self, prompts: Sequence[Ids], samplings: Sequence[Sampling]) -> list[Tokens]:
        completions = [Completion(prompt, sampling) for prompt, sampling in zip(prompts, samplings, strict=True)]
        batch = CompletionBatch(self._model, pad=self._pad, ends=self.ends)
        batch.join(completions)
        while batch.growing:
            batch.step()
        return [row.tokens() for row in completions]


@dataclass(eq=False, slots=True)
class Completion:
    """A prompt and the part of its completion that is sampled so far."""

    prompt: Ids
    sampling: Sampling
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)  # one for each of the ids

    @property
    def length(self) -> int:
        """The tokens of the prompt and of what is sampled so far."""
        return len(self.prompt) + len(self.ids)

    def ids_from(self, place: int) -> list[int]:
        """Return the ids of the prompt and of what is sampled so far, from a place on."""
        return [*self.prompt[place:], *self.ids[max(0, place - len(self.prompt)) :]]

    def add(self, token: int, logprob: float) -> None:
        """Add a token that was sampled."""
        self.ids.append(token)
        self.logprobs.append(logprob)

    def is_complete(self, ends: frozenset[int]) -> bool:
        """Return whether the last token is in `ends`, or as many tokens are sampled as may be."""
        return bool(self.ids) and (self.ids[-1] in ends or len(self.ids) == self.sampling.max_tokens)

    def tokens(self) -> Tokens:
        """Return what is sampled so far."""
        return Tokens(self.prompt, tuple(self.ids), tuple(self.logprobs))


class CompletionBatch:
    """Completions that are sampled together, one token each in a step. Complete ones leave the batch.

    Call it under `torch.no_grad()`.
    """

    def __init__(self, model: Any, *, pad: int, ends: frozenset[int]) -> None:
        self._model, self._pad, self._ends = model, pad, ends
        self.growing: list[Completion] = []
        self._mask = self._last = torch.empty(0, 0, dtype=torch.int64)  # (B, T) 1 for a token, 0 for padding; (B, 1) the ids to read next
        self._cache: Any = None

    def join(self, completions: Sequence[Completion]) -> None:
        """Add completions: read their prompts and draw the first token of each.

        When the batch is not empty, the model must pass `can_merge`.
        """
        ids, mask = (tensor.to(self._model.device) for tensor in pad_left([completion.prompt for completion in completions], self._pad))
        cache, last = self._draw_next(completions, ids, mask, None)
        if self.growing:
            mask, cache = _merge((self._mask, self._cache), (mask, cache))
            last = torch.cat([self._last, last])
        self.growing, self._mask, self._cache, self._last = [*self.growing, *completions], mask, cache, last
        self.keep([completion for completion in self.growing if not completion.is_complete(self._ends)])

    def step(self) -> None:
        """Draw the next token of each completion."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self.growing), 1)], dim=1)
        self._cache, self._last = self._draw_next(self.growing, self._last, self._mask, self._cache)
        self.keep([completion for completion in self.growing if not completion.is_complete(self._ends)])

    def keep(self, completions: Sequence[Completion]) -> None:
        """Keep only these completions in the batch; empty: the batch ends."""
        if not completions:
            self.growing, self._cache = [], None
        elif len(completions) < len(self.growing):
            indices = torch.tensor([self.growing.index(completion) for completion in completions], device=self._mask.device)
            self._cache.reorder_cache(indices)
            self.growing, self._mask, self._last = list(completions), self._mask[indices], self._last[indices]

    def _draw_next(self, completions: Sequence[Completion], ids: Tensor, mask: Tensor, cache: Any) -> tuple[Any, Tensor]:
        """Read `ids`, (B, T) int64, and draw the next token of each row. Returns the cache and the drawn tokens, (B, 1) int64."""
        out = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :],
            cache=cache,
            use_cache=any(completion.sampling.max_tokens > 1 for completion in completions),
            logits_to_keep=1,
        )
        temperatures = torch.tensor([completion.sampling.temperature for completion in completions], dtype=torch.float32, device=ids.device)
        numbers = uniforms(
            [completion.sampling.seed or 0 for completion in completions], [len(completion.ids) for completion in completions]
        )
        chosen, logprobs = draw(out.logits[:, -1], temperatures, numbers)
        for completion, token, logprob in zip(completions, chosen.tolist(), logprobs.tolist(), strict=True):
            completion.add(token, logprob)
        return out.cache, chosen[:, None]


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Within the context, the model is in evaluation mode and computes no gradients."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def can_merge(model: Any) -> bool:
    """Return whether completions may join a batch of this model. A layer with a sliding window does not keep all keys and values."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)


def _merge(grown: tuple[Tensor, Any], joining: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
    """Join two masks, (B, T) int64, and their caches, aligned at the last token. Columns that are padding in all rows are removed."""
    width = max(int(mask.sum(1).max()) for mask, _ in (grown, joining))

    def fit(states: Tensor) -> Tensor:
        return functional.pad(states, (0, 0, width - states.shape[-2], 0))  # a negative width removes columns

    for kept, added in zip(grown[1].layers, joining[1].layers, strict=True):
        kept.keys = torch.cat([fit(kept.keys), fit(added.keys)])
        kept.values = torch.cat([fit(kept.values), fit(added.values)])
    return torch.cat([functional.pad(mask, (width - mask.shape[1], 0)) for mask, _ in (grown, joining)]), grown[1]


def split_into_batches(lengths: Sequence[int], room: int = MAX_BATCH_TOKENS) -> list[list[int]]:
    """Split rows of these lengths, in tokens, into batches that hold at most `room` tokens after padding. Returns the numbers of the rows.

    Short rows come first. A row that is longer than `room` is a batch of its own.
    """
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batches and (len(batches[-1]) + 1) * lengths[row] <= room:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def pad_left(rows: Sequence[Ids], pad: int) -> tuple[Tensor, Tensor]:
    """Pad rows on the left. Returns ids, (B, T) int64, and a mask, (B, T) int64, with 1 for an id and 0 for padding."""
    width = max(map(len, rows))
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


def draw(logits: Tensor, temperatures: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """Draw a token for each row from `logits`, (B, V), at `temperatures`, (B,) float32, with `uniforms`, (B,) float64 in [0, 1).

    Returns the tokens, (B,) int64, and their natural logprobs, (B,) float32. Raises Diverged when a probability is not a number.
    """
    logprobs = (logits.float() / temperatures[:, None]).log_softmax(dim=-1)
    if logprobs.isnan().any():
        raise Diverged("the policy's weights give no probabilities")
    ladder = logprobs.double().exp().cumsum(dim=-1)
    reach = uniforms.to(ladder.device) * ladder[:, -1]
    chosen = torch.searchsorted(ladder, reach[:, None], right=True).clamp(max=logits.shape[-1] - 1)
    return chosen[:, 0], logprobs.gather(1, chosen)[:, 0]


def uniforms(seeds: Sequence[int], index: int | Sequence[int]) -> Tensor:
    """Return a random number for each seed, (B,) float64 in [0, 1): the one at `index`, from 0, in the seed's sequence.

    `index` is one number for all seeds, or one for each. The generator is splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom
    number generators, 2014).
    """
    with np.errstate(over="ignore"):
        z = np.array(seeds, dtype=np.uint64) + (np.array(index, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return torch.from_numpy((z >> np.uint64(11)).astype(np.float64) * 2.0**-53)
