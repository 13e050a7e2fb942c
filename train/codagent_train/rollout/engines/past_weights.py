"""Samples from a model with the weights that it had some steps ago.

The model itself is used, with the old weights put in for the time. The trainer has changed its forward, and a copy of the model would go on
to call that of the original.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from codagent.types import Sampling, Tokens
from codagent_train.policy.tokenizer import Ids
from codagent_train.rollout.engines.engine import CompletionStream, Engine, open_stream

Weights = Mapping[str, Any]  # tensors by the name of the parameter


def copy_weights(model: Any) -> Weights:
    """Copy the parameters that are trained."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters() if parameter.requires_grad}


class PastWeightsEngine:
    """A StreamingEngine over an engine that samples from `model`. It puts `weights` into the model while it samples."""

    def __init__(self, engine: Engine, model: Any, weights: Weights) -> None:
        self._engine, self._model, self._weights = engine, model, weights

    @property
    def ends(self) -> frozenset[int]:
        return self._engine.ends

    def generate(self, prompts: Sequence[Ids], samplings: Sequence[Sampling]) -> list[Tokens]:
        """Sample a completion for each prompt."""
        with self._swapped():
            return self._engine.generate(prompts, samplings)

    @contextmanager
    def open_stream(self, slots: int) -> Iterator[CompletionStream]:
        """Open a stream of the engine."""
        with self._swapped(), open_stream(self._engine, slots) as stream:
            yield stream

    @contextmanager
    def _swapped(self) -> Iterator[None]:
        """Let the parameters have the old weights, and then their own again."""
        parameters = dict(self._model.named_parameters())
        present = {name: parameters[name].data for name in self._weights}
        try:
            for name, weights in self._weights.items():
                parameters[name].data = weights
            yield
        finally:
            for name, weights in present.items():
                parameters[name].data = weights
