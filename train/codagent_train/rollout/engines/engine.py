"""The Protocols of an engine, which samples completions for a batch of prompts, and of a stream, in which no prompt waits for a batch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, runtime_checkable

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


class CompletionStream(Protocol):
    """Samples completions of many conversations. Each conversation has a slot, a number from 0, and one prompt at a time.

    `step` returns the completions that it completes, by slot: at least one after some steps, when there is a prompt. Completions are as an
    Engine gives them.
    """

    def submit(self, slot: int, prompt: Ids, sampling: Sampling) -> None: ...
    def step(self) -> dict[int, Tokens]: ...


@runtime_checkable
class StreamingEngine(Engine, Protocol):
    """An engine with streams of its own. The weights must not change while a stream is open."""

    def open_stream(self, slots: int) -> AbstractContextManager[CompletionStream]: ...


class BatchStream:
    """A CompletionStream over any engine: a step completes all prompts that there are, in one batch."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pending: dict[int, tuple[Ids, Sampling]] = {}

    def submit(self, slot: int, prompt: Ids, sampling: Sampling) -> None:
        self._pending[slot] = prompt, sampling

    def step(self) -> dict[int, Tokens]:
        slots, pending = sorted(self._pending), self._pending
        self._pending = {}
        completions = self._engine.generate([pending[slot][0] for slot in slots], [pending[slot][1] for slot in slots])
        return dict(zip(slots, completions, strict=True))


def open_stream(engine: Engine, slots: int) -> AbstractContextManager[CompletionStream]:
    """Open the engine's own stream where it has one."""
    return engine.open_stream(slots) if isinstance(engine, StreamingEngine) else nullcontext(BatchStream(engine))
