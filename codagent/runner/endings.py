"""How an attempt, a run or a loop can end, in words for a person. The words of records and of `--json` are the keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Ending(NamedTuple):
    """One way to end, for a person."""

    label: str  # for a column of a table
    sentence: str  # without a capital and a full stop


ENDINGS: Mapping[str, Ending] = {
    "passed": Ending("passed", "every check passes"),
    "done": Ending("done", "done, as the agent says; there were no checks"),
    "failed": Ending("failed", "the checks do not pass"),
    "suspicious": Ending("suspicious", "suspicious: every check passes, but a person has to look at the change"),
    "iterations": Ending("out of tries", "stopped: all iterations are used up"),
    "stalled": Ending("no progress", "stopped: no progress"),
    "blocked": Ending("blocked", "stopped: only a person can remove what is in the way"),
    "finished": Ending("done", "the agent says that it is done"),
    "repeated": Ending("repeated call", "stopped: the same call got the same answer again and again"),
    "silent": Ending("no tool call", "stopped: the model called no tool"),
    "refused": Ending("refused", "stopped: the model, or a filter around it, refused to answer"),
    "steps": Ending("out of steps", "stopped: all steps are used up"),
    "tokens": Ending("token limit", "stopped: the limit of tokens is reached"),
    "usd": Ending("money limit", "stopped: the limit of money is reached"),
    "seconds": Ending("time limit", "stopped: the limit of time is reached"),
    "model": Ending("no answer", "stopped: the model did not answer"),
    "sandbox": Ending("sandbox broke", "stopped: the sandbox broke"),
    "repository": Ending("not fetched", "the work could not be brought back"),
    "interrupted": Ending("interrupted", "interrupted"),
}
LABEL_WIDTH = max(len(ending.label) for ending in ENDINGS.values())


def label_of(end: str) -> str:
    """Return the word for an end in a table. An end that is not known keeps its own word."""
    return ENDINGS[end].label if end in ENDINGS else end


def sentence_of(end: str | None) -> str:
    """Return the sentence for an end. None: it was broken off."""
    if end is None:
        return "broken off"
    return ENDINGS[end].sentence if end in ENDINGS else f"ended: {end}"
