"""Completions of many conversations at once. Each conversation has a slot, which keeps keys and values for its next prompt.

A prompt that begins as the one before in its slot, with the completion after it, is read only from where it differs. Slots do not wait for
each other: a new prompt is read in the step in which other completions grow by a token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers.cache_utils import Cache, DynamicLayer

from codagent.types import Sampling, Tokens
from codagent_train.policy.tokenizer import Ids
from codagent_train.rollout.engines.engine import MAX_BATCH_TOKENS, Engine
from codagent_train.rollout.engines.transformers_loop import Completion, draw, uniforms

_SPARE_OPERATIONS = 2e7  # padding of so many operations takes less time than another pass through the model


class SlotStream:
    """A CompletionStream over a causal language model whose layers keep all keys and values.

    Use it while the model is in evaluation mode and computes no gradients. `alone` completes a prompt that is too long for a slot.
    """

    def __init__(self, model: Any, *, slots: int, ends: frozenset[int], alone: Engine) -> None:
        self._model, self._ends, self._alone = model, ends, alone
        self._room = MAX_BATCH_TOKENS // slots  # tokens in a slot
        self._spare = _SPARE_OPERATIONS / model.num_parameters()  # tokens of padding that cost less than a pass
        self._read: list[list[int]] = [[] for _ in range(slots)]  # the ids of each slot whose keys and values are kept
        self._growing: dict[int, Completion] = {}
        self._placement = _Placement(slots)
        self._cache = Cache(layer_class_to_replicate=self._placement.make_layer)

    def submit(self, slot: int, prompt: Ids, sampling: Sampling) -> None:
        """Begin the completion of a prompt. The one before in this slot must be complete."""
        read = self._read[slot]
        same = next((place for place, (old, new) in enumerate(zip(read, prompt, strict=False)) if old != new), min(len(read), len(prompt)))
        del read[min(same, len(prompt) - 1) :]  # the last token is read again: what follows from it was not kept
        self._growing[slot] = Completion(prompt, sampling)

    def step(self) -> dict[int, Tokens]:
        """Draw the next token of each completion. Returns, by slot, those that are complete now. Raises Diverged."""
        done: dict[int, Tokens] = {}
        for slot in [slot for slot, each in self._growing.items() if len(each.prompt) + each.sampling.max_tokens > self._room]:
            long, self._read[slot] = self._growing.pop(slot), []
            done[slot] = self._alone.generate([long.prompt], [long.sampling])[0]
        for slots in self._passes():
            self._draw_next(slots)
        for slot in [slot for slot, each in self._growing.items() if each.is_complete(self._ends)]:
            done[slot] = self._growing.pop(slot).tokens()
        return done

    def _passes(self) -> Iterator[list[int]]:
        """Yield the slots in groups of about equally many unread tokens; a group goes through the model together."""
        unread = {slot: each.length - len(self._read[slot]) for slot, each in self._growing.items()}
        group: list[int] = []
        total = 0
        for slot in sorted(unread, key=lambda slot: (unread[slot], slot)):
            padding = (len(group) + 1) * unread[slot] - total - unread[slot]
            if group and padding > max(self._spare, total / 4):
                yield group
                group, total = [], 0
            group.append(slot)
            total += unread[slot]
        if group:
            yield group

    def _draw_next(self, slots: Sequence[int]) -> None:
        """Read what is unread in these slots and draw the next token of each."""
        completions, device = [self._growing[slot] for slot in slots], self._model.device
        unread = [each.ids_from(len(self._read[slot])) for slot, each in zip(slots, completions, strict=True)]
        width = max(map(len, unread))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in unread], device=device)
        ends = torch.tensor([each.length for each in completions], device=device)
        starts = torch.tensor([len(self._read[slot]) for slot in slots], device=device)
        places = ends[:, None] - width + torch.arange(width, device=device)  # of each token in its slot; before `starts` it is padding
        mask = self._placement.place(slots, places, places >= starts[:, None], int(ends.max()))
        out = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=places.clamp(min=0),
            cache=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        temperatures = torch.tensor([each.sampling.temperature for each in completions], dtype=torch.float32, device=device)
        numbers = uniforms([each.sampling.seed or 0 for each in completions], [len(each.ids) for each in completions])
        chosen, logprobs = draw(out.logits[:, -1], temperatures, numbers)
        for slot, row, completion, token, logprob in zip(slots, unread, completions, chosen.tolist(), logprobs.tolist(), strict=True):
            self._read[slot] += row
            completion.add(token, logprob)


@dataclass(slots=True)
class _Placement:
    """Where the tokens of the current pass belong, for all layers."""

    slots: int
    rows: Tensor | None = None  # (B, 1) int64: the slot of each row; None: all slots, in order
    places: Tensor | None = None  # (B, T) int64: the place of each token in its slot
    width: int = 0  # places that the pass looks at

    def place(self, slots: Sequence[int], places: Tensor, real: Tensor, width: int) -> Tensor:
        """Set where tokens belong; those that are not `real`, (B, T) bool, belong nowhere. Returns the mask, (B, 1, T, width) bool."""
        everywhere = list(slots) == list(range(self.slots))
        self.rows = None if everywhere else torch.tensor(slots, device=places.device)[:, None]
        self.places, self.width = torch.where(real, places, -1), width  # -1: the last place of a slot, which is never looked at
        return (torch.arange(width, device=places.device) <= places.clamp(min=0)[..., None])[:, None]

    def make_layer(self) -> _SlotLayer:
        return _SlotLayer(self)


class _SlotLayer(DynamicLayer):  # type: ignore[misc]
    """The keys and values of one layer: (slots, places, heads, width of a head) each."""

    def __init__(self, placement: _Placement) -> None:
        super().__init__()
        self._placement = placement
        self.keys: Tensor
        self.values: Tensor

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Keep the states, (B, heads, T, width of a head), and return those of all places up to the last one."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        where = self._placement
        self.keys, self.values = (
            self._keep(kept, states, where) for kept, states in ((self.keys, key_states), (self.values, value_states))
        )
        if where.rows is None:
            return self.keys[:, : where.width].transpose(1, 2), self.values[:, : where.width].transpose(1, 2)
        rows = where.rows[:, 0]
        return self.keys[rows, : where.width].transpose(1, 2), self.values[rows, : where.width].transpose(1, 2)

    @staticmethod
    def _keep(kept: Tensor, states: Tensor, where: _Placement) -> Tensor:
        if not kept.numel():
            kept = states.new_zeros(where.slots, 1, states.shape[1], states.shape[3])
        if kept.shape[1] <= where.width:  # one place more than is looked at
            kept = functional.pad(kept, (0, 0, 0, 0, 0, max(where.width + 1, 2 * kept.shape[1]) - kept.shape[1]))
        rows = torch.arange(where.slots, device=states.device)[:, None] if where.rows is None else where.rows
        kept[rows, where.places] = states.transpose(1, 2).to(kept.dtype)
        return kept
