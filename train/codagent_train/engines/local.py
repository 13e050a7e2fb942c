"""The engine in this process: a transformers model, sampled batch by batch with its own cache.

The loop is written out, not `generate`: that has one seed for a whole batch, and gives logprobs only together with the logits of all steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codagent.types import Sampling, Tokens
from codagent_train.engines import TOGETHER, Ids
from codagent_train.loss import Diverged


class Local:
    """An Engine over a causal language model that may be trained in between; it is left in the mode that it was in."""

    def __init__(self, model: Any, *, pad: int, ends: frozenset[int]) -> None:
        self._model, self._pad, self.ends = model, pad, ends

    def generate(self, prompts: Sequence[Ids], samplings: Sequence[Sampling]) -> list[Tokens]:
        training = self._model.training
        self._model.eval()
        found: dict[int, Tokens] = {}
        try:
            with torch.no_grad():
                for batch in batches([len(prompt) + each.max_tokens for prompt, each in zip(prompts, samplings, strict=True)]):
                    done = self._generate([prompts[row] for row in batch], [samplings[row] for row in batch])
                    found |= zip(batch, done, strict=True)
        finally:
            self._model.train(training)
        return [found[row] for row in range(len(prompts))]

    def _generate(self, prompts: Sequence[Ids], samplings: Sequence[Sampling]) -> list[Tokens]:
        device = self._model.device
        ids, mask = left_padded(prompts, self._pad)
        ids, mask = ids.to(device), mask.to(device)
        temperatures = torch.tensor([each.temperature for each in samplings], dtype=torch.float32, device=device)
        found: list[tuple[list[int], list[float]]] = [([], []) for _ in prompts]
        running = set(range(len(prompts)))
        cache = None
        longest = max(each.max_tokens for each in samplings)
        for place in range(longest):
            out = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :],
                past_key_values=cache,
                use_cache=longest > 1,
                logits_to_keep=1,
            )
            chosen, logprobs = draw(out.logits[:, -1], temperatures, uniforms([each.seed or 0 for each in samplings], place))
            for row, (one, logprob) in enumerate(zip(chosen.tolist(), logprobs.tolist(), strict=True)):
                if row in running:
                    found[row][0].append(one)
                    found[row][1].append(logprob)
                    if one in self.ends or place + 1 == samplings[row].max_tokens:
                        running.remove(row)
            if not running:
                break
            cache, ids = out.past_key_values, chosen[:, None]
            mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)
        return [Tokens(prompt, tuple(ids), tuple(logs)) for prompt, (ids, logs) in zip(prompts, found, strict=True)]


def batches(lengths: Sequence[int], room: int = TOGETHER) -> list[list[int]]:
    """The rows, the short ones first, in batches that have room when padded; a row that alone has none is a batch."""
    found: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if found and (len(found[-1]) + 1) * lengths[row] <= room:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def left_padded(rows: Sequence[Ids], pad: int) -> tuple[Tensor, Tensor]:
    """(B, T) int64 ids that end together, and (B, T) int64 ones where they are."""
    width = max(map(len, rows))
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


def draw(logits: Tensor, temperatures: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """A token of each row and its natural logprob, both (B,), from logits (B, V), temperatures (B,) and uniforms (B,) in [0, 1).
    Diverged when there is no such thing."""
    logprobs = (logits.float() / temperatures[:, None]).log_softmax(dim=-1)
    if logprobs.isnan().any():
        raise Diverged("the policy's weights give no probabilities")
    ladder = logprobs.double().exp().cumsum(dim=-1)
    reach = uniforms.to(ladder.device) * ladder[:, -1]
    chosen = torch.searchsorted(ladder, reach[:, None], right=True).clamp(max=logits.shape[-1] - 1)
    return chosen[:, 0], logprobs.gather(1, chosen)[:, 0]


def uniforms(seeds: Sequence[int], place: int) -> Tensor:
    """(B,) float64 in [0, 1): the number of that place in the sequence of each seed, by splitmix64 (Steele, Lea, Flood 2014)."""
    with np.errstate(over="ignore"):
        z = np.array(seeds, dtype=np.uint64) + np.uint64(place + 1) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return torch.from_numpy((z >> np.uint64(11)).astype(np.float64) * 2.0**-53)
