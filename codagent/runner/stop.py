"""When a Ralph loop ends: pure functions over its iterations, the latest last. What counts is what the host saw: files and verdicts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from codagent.types import Limits

Ending = Literal["passed", "blocked", "stalled", "iterations"]
ALIKE = 0.6  # the share of common words from which on two blockers are one, said in two ways
_NOTHING = {"a", "blocked", "blocker", "blockers", "false", "n", "na", "no", "none", "not", "nothing", "null"}


@dataclass(frozen=True, slots=True)
class Iteration:
    """`tree` and `notes` are those that it left, "" where there are none; `blocker` is what the agent says stands in its way."""

    tree: str
    reward: float
    failed: tuple[str, ...]
    passed: bool
    notes: str
    blocker: str = ""

    @property
    def failures(self) -> frozenset[str]:
        return frozenset(self.failed)

    @property
    def verdict(self) -> tuple[float, frozenset[str]]:
        return self.reward, self.failures


def verdict(history: Sequence[Iteration], limits: Limits, start: str = "") -> tuple[Ending, str] | None:
    """The first rule that ends the loop, and a sentence for the person; None: it goes on. `start` is the tree that the loop began with."""
    count = len(history)
    if history and history[-1].passed:
        return "passed", f"every check passes after iteration {count}"
    if blocker := blocked(history):
        return "blocked", f"the agent says again and again that only a person can remove what stands in its way: {blocker}"
    if stalled(history, limits.patience, start):
        why = progress(history, start)[1]
        return "stalled", f"{why}, and none for {limits.patience} iterations; say more in the task or in the notes, or raise --patience"
    if count >= limits.iterations:
        return "iterations", f"the checks do not pass after {count} iterations; --resume with more --iterations goes on"
    return None


def progress(history: Sequence[Iteration], start: str = "") -> tuple[bool, str]:
    """Whether the latest iteration brought the loop on, and why, for the log.

    It did when it left files that were never seen before, and with them a reward above all before, or failures that were not seen before;
    or any verdict that was not, from which the notes were changed. Of the first, files other than at the start are enough.
    """
    *before, last = history
    if same := _same_files(before, last, start):
        return False, f"no progress: {same}"
    if not before:
        return True, "progress: files were changed"
    if news := _news(before, last):
        return True, f"progress: {news}"
    return False, "no progress: other files, but no verdict that was not seen before"


def stalled(history: Sequence[Iteration], patience: int, start: str = "") -> bool:
    """Whether the last `patience` iterations were all without progress."""
    ends = range(len(history) - patience + 1, len(history) + 1)
    return len(history) >= patience and not any(progress(history[:end], start)[0] for end in ends)


def blocked(history: Sequence[Iteration], times: int = 3) -> str | None:
    """The latest blocker, when the last `times` iterations all named one much like it."""
    said = [_words(one.blocker) for one in history[-times:]]
    if len(said) < times or not all(said):
        return None
    alike = all(SequenceMatcher(None, words, said[-1], autojunk=False).ratio() >= ALIKE for words in said)
    return " ".join(history[-1].blocker.split())[:300] if alike else None


def _same_files(before: Sequence[Iteration], last: Iteration, start: str) -> str | None:
    trees = [start, *(one.tree for one in before)]
    if not last.tree:
        return "no work came back"
    if last.tree not in trees:
        return None
    number = trees.index(last.tree)
    return f"the files are as {f'iteration {number} left them' if number else 'they were at the start'}"


def _news(before: Sequence[Iteration], last: Iteration) -> str | None:
    best = max(one.reward for one in before)
    if last.reward > best:
        return f"reward {last.reward:.2f}, so far {best:.2f}"
    if last.failed and last.failures not in [one.failures for one in before]:
        return f"other failures than before, {len(last.failures)} in all"
    if last.verdict not in [one.verdict for one in before] and last.notes != before[-1].notes:
        return f"notes on a verdict not seen before, reward {last.reward:.2f}"
    return None


def _words(text: str) -> list[str]:
    """Without order or repetition; none for a text that says that there is nothing to say."""
    words = set(re.findall(r"\w+", text.casefold()))
    return sorted(words) if words - _NOTHING else []
