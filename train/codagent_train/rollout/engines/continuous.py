"""The engine that uses transformers' continuous batching in this process: completed rows make room for others, and no row is padded.

It breaks one promise of the Protocol. The library draws all rows from one random generator, which is seeded with the first sampling's seed.
A completion therefore depends on the whole batch and its order. The same batch with the same weights gives the same completions.
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

STEP = 2**11  # tokens that go through the model in one pass
PAGE = 256  # tokens in a page of the cache; flash attention needs at least so many
_OTHER = 2.0  # the library uses the temperatures of the requests only when that of the batch is not 1


class ContinuousEngine:
    """An Engine over a causal language model. The model may be trained between two calls and keeps its training or evaluation mode."""

    def __init__(self, model: Any, *, ends: frozenset[int]) -> None:
        self._model, self.ends = model, ends

    def generate(self, prompts: Sequence[Ids], samplings: Sequence[Sampling]) -> list[Tokens]:
        """Sample a completion for each prompt. Raises ModelError when the library fails, Diverged when the weights are not finite."""
        training = self._model.training
        self._model.eval()
        try:
            with torch.random.fork_rng():  # the library seeds torch's global generator
                tokens = self._run(prompts, samplings)
        finally:
            self._model.train(training)
        return [tokens[row] for row in range(len(prompts))]

    def _run(self, prompts: Sequence[Ids], samplings: Sequence[Sampling]) -> dict[int, Tokens]:
        """Return the completions by row.

        The library's manager is made anew for each batch: it would reuse keys and values that were computed with earlier weights.
        """
        pages = [ceil((len(prompt) + sampling.max_tokens) / PAGE) for prompt, sampling in zip(prompts, samplings, strict=True)]
        manager = self._model.init_continuous_batching(
            generation_config=GenerationConfig(do_sample=True, temperature=_OTHER, top_k=0, top_p=1.0, eos_token_id=-1),
            continuous_batching_config=_config(pages, samplings[0].seed or 0),
        )
        tokens: dict[int, Tokens] = {}
        # all requests are added before the start; otherwise timing would decide which rows share a batch
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
                    raise ModelError("continuous batching stopped before all replies were sampled; take the local engine")
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
        use_cuda_graph=False,  # recording graphs takes longer than a manager lives
        use_async_batching=False,
        auto_switch_to_flash=is_flash_attn_2_available(),  # otherwise the library tries to download kernels from the hub
    )


def _tokens(prompt: Ids, done: Any) -> Tokens:
    if done.error:
        if "probability tensor contains" in done.error:  # the message of torch.multinomial
            raise Diverged("the policy's weights give no probabilities")
        raise ModelError(f"continuous batching failed ({done.error}); take the local engine")
    return Tokens(prompt, tuple(done.generated_tokens), tuple(done.logprobs))
