"""Samples replies from a policy: turns requests into token ids for an engine, and the sampled ids into replies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from codagent.types import FinishReason, Message, Reply, Sampling, Tokens, Tool
from codagent_train.policy.chat_text import CALLING, parse_reply, render_messages
from codagent_train.policy.tokenizer import Tokenizer
from codagent_train.rollout.engines.engine import Engine


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """A request of a loop for one reply."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    sampling: Sampling  # its seed and `max_tokens` are used; the sampler sets temperature, top_p and top_k


@dataclass(frozen=True, slots=True)
class Sampler:
    """A policy that can be asked for replies."""

    engine: Engine
    tokenizer: Tokenizer
    policy: str  # the name of the weights, for records
    temperature: float = 1.0  # of all replies

    def sample_replies(self, requests: Sequence[SampleRequest]) -> list[Reply]:
        """Sample a reply to each request, all in one batch, from the whole distribution. Raises what the engine raises."""
        prompts = [self.tokenizer.encode(render_messages(request.messages, request.tools)) for request in requests]
        samplings = [replace(request.sampling, temperature=self.temperature, top_p=1.0, top_k=0) for request in requests]
        completions = self.engine.generate(prompts, samplings)
        return [self._make_reply(*request) for request in zip(requests, completions, samplings, strict=True)]

    def _make_reply(self, request: SampleRequest, tokens: Tokens, sampling: Sampling) -> Reply:
        ids = tokens.completion_ids
        text, cut = self.tokenizer.decode(ids), ids[-1] not in self.engine.ends
        message = parse_reply(text, request.messages, request.tools, cut=cut)
        stop: FinishReason = "length" if cut else "tool_calls" if message.tool_calls else "stop"
        policy = f"{self.policy} {CALLING}" if request.tools else self.policy
        return Reply(message, stop, len(tokens.prompt_ids), len(ids), 0.0, tokens, sampling, policy, text)
