"""Samples replies from a policy: turns requests into token ids for an engine, and the sampled ids into replies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from codagent.types import FinishReason, Message, Reply, Sampling, Tokens, Tool
from codagent_train.policy.chat_text import CALLING, parse_reply, render_messages
from codagent_train.policy.tokenizer import Ids, Tokenizer
from codagent_train.rollout.engines.engine import CompletionStream, Engine, open_stream


def _ignore() -> None:
    pass


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """A request of a loop for one reply."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    sampling: Sampling  # its seed and `max_tokens` are used; the sampler sets temperature, top_p and top_k


class RequestStream(Protocol):
    """Answers the requests of many loops, as `ReplyStream` does."""

    def submit(self, slot: int, request: SampleRequest) -> None: ...
    def step(self) -> dict[int, Reply]: ...


class ReplySource(Protocol):
    """Whatever replies to loops, as `Sampler` does: all requests in one batch, or as a stream."""

    def sample_replies(self, requests: Sequence[SampleRequest]) -> list[Reply]: ...
    def open_stream(self, slots: int) -> AbstractContextManager[RequestStream]: ...


@dataclass(frozen=True, slots=True)
class Sampler:
    """A policy that can be asked for replies."""

    engine: Engine
    tokenizer: Tokenizer
    policy: str  # the name of the weights, for records
    temperature: float = 1.0  # of all replies
    on_reply: Callable[[], None] = _ignore  # is called after each reply

    def sample_replies(self, requests: Sequence[SampleRequest]) -> list[Reply]:
        """Sample a reply to each request, all in one batch, from the whole distribution. Raises what the engine raises."""
        prompts = list(map(self.encode, requests))
        samplings = list(map(self.sampling_of, requests))
        completions = self.engine.generate(prompts, samplings)
        return [self.make_reply(*request) for request in zip(requests, completions, samplings, strict=True)]

    @contextmanager
    def open_stream(self, slots: int) -> Iterator[ReplyStream]:
        """Open a stream of replies for so many loops."""
        with open_stream(self.engine, slots) as completions:
            yield ReplyStream(self, completions)

    def encode(self, request: SampleRequest) -> Ids:
        """Return the token ids of a request."""
        return self.tokenizer.encode(render_messages(request.messages, request.tools))

    def sampling_of(self, request: SampleRequest) -> Sampling:
        """Return how the reply is sampled: from the whole distribution."""
        return Sampling(self.temperature, 1.0, 0, request.sampling.max_tokens, request.sampling.seed)

    def make_reply(self, request: SampleRequest, tokens: Tokens, sampling: Sampling) -> Reply:
        """Return the reply whose tokens were sampled."""
        ids = tokens.completion_ids
        text, cut = self.tokenizer.decode(ids), ids[-1] not in self.engine.ends
        message = parse_reply(text, request.messages, request.tools, cut=cut)
        stop: FinishReason = "length" if cut else "tool_calls" if message.tool_calls else "stop"
        policy = f"{self.policy} {CALLING}" if request.tools else self.policy
        self.on_reply()
        return Reply(message, stop, len(tokens.prompt_ids), len(ids), 0.0, tokens, sampling, policy, text)


class ReplyStream:
    """Samples the replies of many loops. Each loop has a slot and one request at a time; loops do not wait for each other."""

    def __init__(self, sampler: Sampler, completions: CompletionStream) -> None:
        self._sampler, self._completions = sampler, completions
        self._pending: dict[int, tuple[SampleRequest, Sampling]] = {}

    def submit(self, slot: int, request: SampleRequest) -> None:
        """Begin to sample the reply to a request."""
        self._pending[slot] = request, self._sampler.sampling_of(request)
        self._completions.submit(slot, self._sampler.encode(request), self._pending[slot][1])

    def step(self) -> dict[int, Reply]:
        """Go on with all replies. Returns those that are complete now, by slot. Raises what the engine raises."""
        done = self._completions.step()
        replies = {}
        for slot, tokens in done.items():
            request, sampling = self._pending.pop(slot)
            replies[slot] = self._sampler.make_reply(request, tokens, sampling)
        return replies
