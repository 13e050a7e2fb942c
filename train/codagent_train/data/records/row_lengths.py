"""Measures how long the rows of recorded loops are, before anything is trained on them. Does not import torch or a tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from codagent.text import BYTES_PER_TOKEN, count_bytes
from codagent.types import Episode
from codagent_train.data.records.finder import iter_unique


@dataclass(frozen=True, slots=True)
class RowLengths:
    """Tokens of the rows that recorded loops become."""

    per_loop: int  # in all rows of a loop, on average
    longest: int


def measure_rows(folders: Sequence[Path]) -> RowLengths:
    """Measure the rows of the loops that can be read. Where no tokens are recorded, they are estimated from bytes, and rather too high.

    Raises UsageError for a path that does not exist or holds no record.
    """
    loops = [[length for episode in loop.episodes for length in _list_lengths(episode)] for _, loop in iter_unique(folders, [])]
    rows = [length for loop in loops for length in loop]
    return RowLengths(ceil(sum(rows) / max(1, len(loops))), max(rows, default=0))


def _list_lengths(episode: Episode) -> Iterator[int]:
    """Yield the tokens of each row. A reply whose request begins with the one before belongs to the same row."""
    requests = [*episode.requests()]
    for number, (step, messages) in enumerate(zip(episode.steps, requests, strict=True)):
        if number + 1 < len(requests) and requests[number + 1][: len(messages)] == messages:
            continue
        if tokens := step.reply.tokens:
            yield len(tokens.prompt_ids) + len(tokens.completion_ids)
        else:
            yield ceil(sum(map(count_bytes, (*messages, step.reply.message))) / BYTES_PER_TOKEN)
