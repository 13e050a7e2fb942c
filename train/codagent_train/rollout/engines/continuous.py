"""The engine of transformers' continuous batching, in this process: rows that are done make room for others, and none is padded.

One thing that the Protocol promises does not hold: the library draws all rows from one generator, so what comes of a prompt follows from
the whole batch, its order included. The batch as a whole comes again with the same prompts, samplings and weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig
from transformers.utils import is_flash_attn_2_available

from codagent.errors import ModelError
from codagent.types import Sampling, Tokens
from codagent_train.errors import Diverged
from codagent_train.policy.tokenizer import Ids
from codagent_train.rollout.engines.engine import MAX_BATCH_TOKENS

STEP = 2**11  # tokens that go through the model at a time
PAGE = 256  # tokens; flash attention reads no smaller ones
_OTHER = 2.0  # requests have temperatures of their own only where that of the batch is not 1


class ContinuousEngine:
    """An Engine over a causal language model that may be trained in between; it is left in the mode that it was in."""

    def __init__(self, model: Any, *, ends: frozenset[int]) -> None:
        self._model, self.ends = model, ends

    def generate(self, prompts: Sequence[Ids], samplings: Sequence[Sampling]) -> list[Tokens]:
        training = self._model.training
        self._model.eval()
        try:
            with torch.random.fork_rng():  # the library seeds the generator that all share
                tokens = self._run(prompts, samplings)
        finally:
            self._model.train(training)
        return [tokens[row] for row in range(len(prompts))]

    def _run(self, prompts: Sequence[Ids], samplings: Sequence[Sampling]) -> dict[int, Tokens]:
        """By row. The manager lives no longer than its batch: it would go on with keys and values of weights that have changed since."""
        pages = [ceil((len(prompt) + sampling.max_tokens) / PAGE) for prompt, sampling in zip(prompts, samplings, strict=True)]
        manager = self._model.init_continuous_batching(
            generation_config=GenerationConfig(do_sample=True, temperature=_OTHER, top_k=0, top_p=1.0, eos_token_id=-1),
            continuous_batching_config=_config(pages, samplings[0].seed or 0),
        )
        tokens: dict[int, Tokens] = {}
        # all of them before the start, so that no race decides which are the first batch
        for row, (prompt, sampling) in enumerate(zip(prompts, samplings, strict=True)):
            manager.add_request(
                list(prompt),
                str(row),
                max_new_tokens=sampling.max_tokens,
                eos_token_id=sorted(self.ends),
                temperature=float(sampling.temperature or 1),
            )
        manager.start()
        try:
            while len(tokens) < len(prompts):
                done = manager.get_result(timeout=1.0)
                if done is None and not manager.is_running():
                    raise ModelError("continuous batching stopped before all replies were there; take the local engine")
                if done is not None:
                    row = int(done.request_id)
                    tokens[row] = _tokens(prompts[row], done)
        finally:
            manager.stop(hard_stop=len(tokens) < len(prompts))
            manager.destroy()
        return tokens


def _config(pages: Sequence[int], seed: int) -> ContinuousBatchingConfig:
    return ContinuousBatchingConfig(
        page_size=PAGE,
        num_blocks=max(*pages, min(sum(pages), MAX_BATCH_TOKENS // PAGE)) + 1,
        max_batch_tokens=STEP,
        return_logprobs=True,
        seed=seed,
        per_request_processors=True,
        use_cuda_graph=False,  # a manager does not live long enough to earn its graphs
        use_async_batching=False,
        auto_switch_to_flash=is_flash_attn_2_available(),  # else the library fetches kernels from the hub where it can
    )


def _tokens(prompt: Ids, done: Any) -> Tokens:
    if done.error:
        if "probability tensor contains" in done.error:  # as torch.multinomial says it
            raise Diverged("the policy's weights give no probabilities")
        raise ModelError(f"continuous batching failed ({done.error}); take the local engine")
    return Tokens(prompt, tuple(done.generated_tokens), tuple(done.logprobs))
