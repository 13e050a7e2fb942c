"""When a Ralph loop ends: pure functions over its iterations, the latest last. They go by what the host saw: files and verdicts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from codagent.text import count as plural
from codagent.types import Limits

Ending = Literal["passed", "blocked", "stalled", "iterations"]
ALIKE = 0.6  # two blockers that share at least this part of their words are the same blocker
_NOTHING = {"a", "blocked", "blocker", "blockers", "false", "n", "na", "no", "none", "not", "nothing", "null"}


@dataclass(frozen=True, slots=True)
class Iteration:
    """What an attempt left behind."""

    tree: str  # "": no work came back
    reward: float
    failed: tuple[str, ...]  # names of tests and checks
    passed: bool
    notes: str  # "": there are none
    blocker: str = ""  # what the agent says only a person can remove; "": nothing
    asked: bool = True  # whether the model was asked; not when every check passed before the first step

    @property
    def failures(self) -> frozenset[str]:
        return frozenset(self.failed)

    @property
    def verdict(self) -> tuple[float, frozenset[str]]:
        return self.reward, self.failures


def verdict(history: Sequence[Iteration], limits: Limits, start: str = "") -> tuple[Ending, str] | None:
    """Find the first rule that ends the loop, with a sentence for the person ("": nothing is to be said); None: the loop goes on.

    `start` is the tree that it began with.
    """
    count = len(history)
    if history and history[-1].passed:
        return "passed", f"every check passes after iteration {count}" if history[-1].asked else ""
    if blocker := find_blocker(history):
        return "blocked", f"the agent says again and again that only a person can remove what stands in its way: {blocker}"
    if is_stalled(history, limits.patience, start):
        why = progress(history, start)[1]
        return "stalled", f"{why}, and none for {limits.patience} iterations; say more in the task or in the notes, or raise --patience"
    if count >= limits.iterations:
        return "iterations", f"the checks do not pass after {plural(count, 'iteration')}; --resume with more --iterations goes on"
    return None


def progress(history: Sequence[Iteration], start: str = "") -> tuple[bool, str]:
    """Decide whether the latest iteration was progress, and say why in a few words.

    The first iteration is progress when it changed files. A later one is progress when it left files that no iteration left before, and
    one of these is new, too: the best reward so far, a set of failures not seen before, or a verdict not seen before after which the notes
    were changed.
    """
    *before, last = history
    if same := _same_files(before, last, start):
        return False, f"no progress: {same}"
    if not before:
        return True, "progress: files were changed"
    if news := _news(before, last):
        return True, f"progress: {news}"
    same = "the same result"
    if last.failed:
        same = f"the same {len(last.failed)} checks fail" if len(last.failed) > 1 else "the same check fails"
    return False, f"no progress: other files, but {same}"


def is_stalled(history: Sequence[Iteration], patience: int, start: str = "") -> bool:
    """Whether none of the last `patience` iterations was progress."""
    ends = range(len(history) - patience + 1, len(history) + 1)
    return len(history) >= patience and not any(progress(history[:end], start)[0] for end in ends)


def find_blocker(history: Sequence[Iteration], times: int = 3) -> str | None:
    """Find the blocker that the last `times` iterations have all named, in whatever words; None: there is none."""
    blockers = [_words(iteration.blocker) for iteration in history[-times:]]
    if len(blockers) < times or not all(blockers):
        return None
    alike = all(SequenceMatcher(None, words, blockers[-1], autojunk=False).ratio() >= ALIKE for words in blockers)
    return " ".join(history[-1].blocker.split())[:300] if alike else None


def _same_files(before: Sequence[Iteration], last: Iteration, start: str) -> str | None:
    trees = [start, *(iteration.tree for iteration in before)]
    if not last.tree:
        return "no work came back"
    if last.tree not in trees:
        return None
    number = trees.index(last.tree)
    return f"the files are as {f'iteration {number} left them' if number else 'they were at the start'}"


def _news(before: Sequence[Iteration], last: Iteration) -> str | None:
    best = max(iteration.reward for iteration in before)
    if last.reward > best:
        return f"score {last.reward:.2f}, the best so far was {best:.2f}"
    if last.failed and last.failures not in [iteration.failures for iteration in before]:
        return f"other checks fail than before, {len(last.failures)} in all"
    if last.verdict not in [iteration.verdict for iteration in before] and last.notes != before[-1].notes:
        return f"notes on a result not seen before, score {last.reward:.2f}"
    return None


def _words(text: str) -> list[str]:
    """The different words of a text, sorted; none when the text only says that nothing is in the way."""
    words = set(re.findall(r"\w+", text.casefold()))
    return sorted(words) if words - _NOTHING else []
