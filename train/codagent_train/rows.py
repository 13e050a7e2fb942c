"""Rows: what one step trains on, a reply each, with what it was worth. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from codagent.types import Kind, Loop, Tokens
from codagent_train import credit

Group = Sequence[Loop]


@dataclass(frozen=True, slots=True)
class Row:
    """One reply, whose every token has the advantage of its episode."""

    tokens: Tokens
    advantage: float
    kind: Kind
    position: int

    @property
    def trained(self) -> int:
        """How many of its tokens are trained."""
        return len(self.tokens.completion_ids)

    @property
    def length(self) -> int:
        return len(self.tokens.prompt_ids) + self.trained


@dataclass(frozen=True, slots=True)
class Harvest:
    """The rows of a step, how many groups had nothing to teach, and the temperature of the re-weighting, where there was one."""

    rows: tuple[Row, ...]
    dead: int
    temperature: float | None = None


def harvest(groups: Sequence[Group], *, returns: credit.Returns, baseline: credit.Baseline, reweight: bool) -> Harvest:
    """The rows of all replies that have an advantage. Different from the paper: a dead group's rows are left out of the mean, too."""
    rows: list[Row] = []
    dead = 0
    for group in groups:
        scores = credit.advantages([credit.rewards(loop) for loop in group], returns=returns, baseline=baseline)
        if credit.dead(scores):
            dead += 1
        else:
            rows += [row for loop, worth in zip(group, scores, strict=True) for row in _rows(loop, worth)]
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


def _rows(loop: Loop, worth: credit.Scores) -> list[Row]:
    return [
        Row(step.reply.tokens, worth[episode.kind, episode.position], episode.kind, episode.position)
        for episode in loop.episodes
        if (episode.kind, episode.position) in worth
        for step in episode.steps
        if step.reply.tokens
    ]


RETURNS: dict[str, credit.Returns] = {"paper": credit.paper, "own": credit.own, "one_sum": credit.one_sum}
BASELINES: dict[str, Callable[[Sequence[float]], list[float]]] = {"mean": credit.mean, "leave_one_out": credit.leave_one_out}
