"""Rows: what one step trains on, replies with what they were worth. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

from codagent.store.trainable import prefix_chains
from codagent.types import Kind, Loop, Tokens
from codagent_train.data import credit

Group = Sequence[Loop]


@dataclass(frozen=True, slots=True)
class Row:
    """Replies of an episode, whose every token has its advantage. Each but the first was asked for with all that came before it, so that
    one pass over the last one's tokens serves them all. Those of one that is `imitated` were not sampled by the policy; the others were
    at `temperature`. `source` is where its loop came from, one of those that a recipe weighs."""

    replies: tuple[Tokens, ...]
    advantage: float
    kind: Kind
    position: int
    temperature: float = 1.0
    imitated: bool = False
    source: str = ""

    @property
    def trained(self) -> int:
        """How many of its tokens are trained."""
        return sum(len(reply.completion_ids) for reply in self.replies)

    @property
    def ids(self) -> tuple[int, ...]:
        """All of its tokens."""
        return self.replies[-1].prompt_ids + self.replies[-1].completion_ids

    @property
    def length(self) -> int:
        return len(self.replies[-1].prompt_ids) + len(self.replies[-1].completion_ids)


@dataclass(frozen=True, slots=True)
class Harvest:
    """The rows of a step, how many groups had nothing to teach, and the temperature of the re-weighting, where there was one."""

    rows: tuple[Row, ...]
    dead: int
    temperature: float | None = None


def harvest(groups: Mapping[str, Sequence[Group]], *, returns: credit.Returns, baseline: credit.Baseline, reweight: bool) -> Harvest:
    """The rows of all replies that have an advantage, out of groups by their source. Different from the paper: a dead group's rows are
    left out of the mean, too."""
    rows: list[Row] = []
    dead = 0
    for source, group in ((source, group) for source, its in groups.items() for group in its):
        scores = credit.advantages([credit.rewards(loop) for loop in group], returns=returns, baseline=baseline)
        if credit.dead(scores):
            dead += 1
        else:
            rows += [row for loop, worth in zip(group, scores, strict=True) for row in _rows(loop, worth, source)]
    if not reweight:
        return Harvest(tuple(rows), dead)
    temperature = credit.temperature([row.advantage for row in rows], [row.trained for row in rows])
    weighted = (replace(row, advantage=credit.reweighted(row.advantage, temperature)) for row in rows)
    return Harvest(tuple(weighted), dead, temperature)


def parts(rows: Sequence[Row], count: int) -> list[list[Row]]:
    """Exactly `count` parts with about as many tokens each, some empty when there are too few rows.

    Rows of like length lie together, so that little is padded.
    """
    ordered = sorted(rows, key=lambda row: row.length)
    ends = list(accumulate(row.length for row in ordered))
    found: list[list[Row]] = [[] for _ in range(count)]
    for row, end in zip(ordered, ends, strict=True):
        found[int((end - row.length / 2) * count / ends[-1])].append(row)
    return found


def copied(loops: Sequence[Loop], source: str = "") -> list[Row]:
    """The rows of loops that are to be imitated, whatever came of them: with an advantage of 1, the loss is their negative logprob."""
    found = (row for loop in loops for row in _rows(loop, {(episode.kind, episode.position): 1.0 for episode in loop.episodes}, source))
    return [replace(row, imitated=True, temperature=1.0) for row in found]


def _rows(loop: Loop, worth: credit.Scores, source: str) -> Iterator[Row]:
    for episode in loop.episodes:
        key = episode.kind, episode.position
        replies = [step.reply for step in episode.steps if step.reply.tokens] if key in worth else []
        for temperature, alike in groupby(replies, lambda reply: reply.sampling.temperature):
            for chain in prefix_chains([reply.tokens for reply in alike if reply.tokens]):
                yield Row(chain, worth[key], *key, temperature=temperature or 1.0, source=source)


RETURNS: dict[str, credit.Returns] = {"paper": credit.paper, "own": credit.own, "one_sum": credit.one_sum}
BASELINES: dict[str, Callable[[Sequence[float]], list[float]]] = {"mean": credit.mean, "leave_one_out": credit.leave_one_out}
