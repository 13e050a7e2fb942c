"""A policy at work: what loops ask for becomes prompts of ids, and the ids that an engine draws become replies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from codagent.types import FinishReason, Message, Reply, Sampling, Tokens, Tool
from codagent_train.policy.chat_text import CALLING, parse_reply, render_messages
from codagent_train.policy.tokenizer import Tokenizer
from codagent_train.rollout.engines.engine import Engine


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """What a loop asks the policy for."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Sampler:
    """A policy at work. `policy` names its weights; the temperature is one for all replies."""

    engine: Engine
    tokenizer: Tokenizer
    policy: str
    temperature: float = 1.0

    def sample_replies(self, requests: Sequence[SampleRequest]) -> list[Reply]:
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
