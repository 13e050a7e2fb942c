"""A policy at work: what loops ask for becomes prompts of ids, and the ids that an engine draws become replies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from codagent.types import FinishReason, Message, Reply, Sampling, Tokens, Tool
from codagent_train.policy.chat_text import CALLING, conversation, heard
from codagent_train.policy.tokenizer import Tokenizer
from codagent_train.rollout.engines.engine import Engine


@dataclass(frozen=True, slots=True)
class Asked:
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

    def replies(self, requests: Sequence[Asked]) -> list[Reply]:
        prompts = [self.tokenizer.encode(conversation(each.messages, each.tools)) for each in requests]
        samplings = [replace(each.sampling, temperature=self.temperature, top_p=1.0, top_k=0) for each in requests]
        drawn = self.engine.generate(prompts, samplings)
        return [self._reply(*each) for each in zip(requests, drawn, samplings, strict=True)]

    def _reply(self, asked: Asked, tokens: Tokens, sampling: Sampling) -> Reply:
        ids = tokens.completion_ids
        text, cut = self.tokenizer.decode(ids), ids[-1] not in self.engine.ends
        message = heard(text, asked.messages, asked.tools, cut=cut)
        stop: FinishReason = "length" if cut else "tool_calls" if message.tool_calls else "stop"
        policy = f"{self.policy} {CALLING}" if asked.tools else self.policy
        return Reply(message, stop, len(tokens.prompt_ids), len(ids), 0.0, tokens, sampling, policy, text)
