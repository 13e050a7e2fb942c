"""Which recorded replies can be trained on as they were sampled, and which of them go on from each other. Knows of no trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from codagent.types import Calling, Reply, Tokens

TEXT_ONLY = "text only"
CONSTRAINED = "constrained"  # sampled from what a schema left of the distribution
CUT = "cut distribution"
GREEDY = "no temperature"
CHANGED = "ids, logprobs and counts do not agree"
_LEAST, _MOST = -1e6, 1e-4  # that a logprob can be, rounding included
_HOTTEST = 100.0


@dataclass(frozen=True, slots=True)
class Author:
    """What a reply's `policy` says: the weights, their version where they are trained, and whether calls were held to a schema."""

    weights: str
    version: int | None
    constrained: bool


def author(policy: str) -> Author:
    weights, _, calling = policy.rpartition(" ")
    if calling not in get_args(Calling):
        weights, calling = policy, ""
    trained, _, version = weights.rpartition("@")
    if trained and version.isdecimal() and version.isascii():
        return Author(trained, int(version), calling == "constrained")
    return Author(weights, None, calling == "constrained")


def unfit(reply: Reply) -> str:
    """In a few words, why the reply cannot be trained on; "" when it can.

    An endpoint's own choices that are not asked for, such as a penalty, do not show in a record.
    """
    sampling = reply.sampling
    if reply.tokens is None:
        return TEXT_ONLY
    wrong = {
        CHANGED: not _whole(reply, reply.tokens),
        CONSTRAINED: author(reply.policy).constrained,
        CUT: sampling.top_p != 1.0 or sampling.top_k != 0,
        GREEDY: sampling.temperature is None or not 0 < sampling.temperature <= _HOTTEST,
    }
    return next((reason for reason, found in wrong.items() if found), "")


def exact(reply: Reply) -> bool:
    """Whether all ids that were read and written are on record, whatever they were sampled from."""
    return reply.tokens is not None and _whole(reply, reply.tokens)


def chained(replies: Sequence[Tokens]) -> list[tuple[Tokens, ...]]:
    """The replies of an episode, those together that each go on where the one before ended."""
    chains: list[tuple[Tokens, ...]] = []
    for reply in replies:
        before = chains[-1][-1] if chains else None
        so_far = before.prompt_ids + before.completion_ids if before else ()
        if before and reply.prompt_ids[: len(so_far)] == so_far:
            chains[-1] += (reply,)
        else:
            chains.append((reply,))
    return chains


def _whole(reply: Reply, tokens: Tokens) -> bool:
    asked, said = len(tokens.prompt_ids), len(tokens.completion_ids)
    return (
        0 < asked == reply.prompt_tokens
        and 0 < said == reply.completion_tokens == len(tokens.logprobs)
        and min(*tokens.prompt_ids, *tokens.completion_ids) >= 0
        and all(_LEAST <= each <= _MOST for each in tokens.logprobs)
    )
