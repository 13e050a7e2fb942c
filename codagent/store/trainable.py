"""Which recorded replies can be trained on as they were sampled, and which of them continue each other. Knows of no trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from codagent.types import Calling, Reply, Tokens

TEXT_ONLY = "text only"
CONSTRAINED = "constrained"  # a schema forbade some tokens
CUT = "cut distribution"
GREEDY = "no temperature"
CHANGED = "ids, logprobs and counts do not agree"
_LEAST_LOGPROB, _MOST_LOGPROB = -1e6, 1e-4  # more than 0 only by rounding
_MAX_TEMPERATURE = 100.0


@dataclass(frozen=True, slots=True)
class ParsedPolicy:
    """What the `policy` of a reply says of who sampled it."""

    weights: str
    version: int | None  # how many training steps the weights have seen; None: they are not trained here
    constrained: bool  # tool calls were held to a schema


def parse_policy(policy: str) -> ParsedPolicy:
    """Read a policy: the weights, `@` and a version for weights in training, a space and the way of calling tools. All but the weights
    may be missing."""
    weights, _, calling = policy.rpartition(" ")
    if calling not in get_args(Calling):
        weights, calling = policy, ""
    trained, _, version = weights.rpartition("@")
    if trained and version.isdecimal() and version.isascii():
        return ParsedPolicy(trained, int(version), calling == "constrained")
    return ParsedPolicy(weights, None, calling == "constrained")


def untrainable_reason(reply: Reply) -> str:
    """Return in a few words why a reply cannot be trained on; "" when it can.

    A record does not show what an endpoint chooses by itself, such as a penalty.
    """
    sampling = reply.sampling
    if reply.tokens is None:
        return TEXT_ONLY
    wrong = {
        CHANGED: not _is_whole(reply, reply.tokens),
        CONSTRAINED: parse_policy(reply.policy).constrained,
        CUT: sampling.top_p != 1.0 or sampling.top_k != 0,
        GREEDY: sampling.temperature is None or not 0 < sampling.temperature <= _MAX_TEMPERATURE,
    }
    return next((reason for reason, holds in wrong.items() if holds), "")


def has_exact_tokens(reply: Reply) -> bool:
    """Return whether the record has all ids of the prompt and the reply, however they were sampled."""
    return reply.tokens is not None and _is_whole(reply, reply.tokens)


def prefix_chains(replies: Sequence[Tokens]) -> list[tuple[Tokens, ...]]:
    """Split the replies of an episode into chains. In a chain, each prompt begins with the prompt and the reply before it."""
    chains: list[tuple[Tokens, ...]] = []
    for reply in replies:
        before = chains[-1][-1] if chains else None
        so_far = before.prompt_ids + before.completion_ids if before else ()
        if before and reply.prompt_ids[: len(so_far)] == so_far:
            chains[-1] += (reply,)
        else:
            chains.append((reply,))
    return chains


def _is_whole(reply: Reply, tokens: Tokens) -> bool:
    """Return whether ids, logprobs and the server's counts agree, and each value is possible."""
    return (
        0 < len(tokens.prompt_ids) == reply.prompt_tokens
        and 0 < len(tokens.completion_ids) == reply.completion_tokens == len(tokens.logprobs)
        and min(*tokens.prompt_ids, *tokens.completion_ids) >= 0
        and all(_LEAST_LOGPROB <= logprob <= _MOST_LOGPROB for logprob in tokens.logprobs)
    )
