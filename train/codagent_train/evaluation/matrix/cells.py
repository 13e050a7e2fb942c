"""Measures the cells of a matrix: rewards by position and what notes are worth, with 95 % intervals over packs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from codagent_train.evaluation.matrix.playing import PlayedLoop, PlayedPacks
from codagent_train.evaluation.matrix.spec import Condition
from codagent_train.intervals import Estimate, mean_interval, share_interval


@dataclass(frozen=True, slots=True)
class Measured:
    """What a checkpoint reached in a column under one condition. Tuples have an entry for each position in a pack."""

    packs: int
    reward: tuple[Estimate, ...]
    success: tuple[Estimate, ...]
    gain: Estimate  # reward at the last position less that at the first, in the same pack
    over_no_notes: Estimate | None  # reward at the last position less that without notes, in the same pack; None: that was not played
    malformed: Estimate  # share of attempts with an answer that had not the expected form
    notes_malformed: Estimate | None  # share of rewrites; None: there were none
    reply_tokens: Estimate
    notes_tokens: Estimate | None


@dataclass(frozen=True, slots=True)
class Cell:
    """A checkpoint in a column."""

    row: str
    column: str
    conditions: Mapping[Condition, Measured]


def measure_cell(row: str, column: str, played: Mapping[Condition, PlayedPacks]) -> Cell:
    """Measure what was played under each condition. A condition with fewer than two packs is left out."""
    without = played.get("none", {})
    return Cell(row, column, {condition: _measure(packs, without) for condition, packs in played.items() if len(packs) > 1})


def _measure(packs: PlayedPacks, without: PlayedPacks) -> Measured:
    tasks = len(next(iter(packs.values()))[0].rewards)
    rewards = {number: _mean_columns(loop.rewards for loop in loops) for number, loops in packs.items()}
    passed = [_mean_columns(loop.passed for loop in loops) for loops in packs.values()]
    paired = [rewards[number][-1] - _mean(without[number], lambda loop: loop.rewards[-1]) for number in packs if number in without]
    rewritten = [loops for loops in packs.values() if loops[0].notes_tokens]
    return Measured(
        packs=len(packs),
        reward=tuple(mean_interval([by_position[at] for by_position in rewards.values()]) for at in range(tasks)),
        success=tuple(share_interval([by_position[at] for by_position in passed]) for at in range(tasks)),
        gain=mean_interval([by_position[-1] - by_position[0] for by_position in rewards.values()]),
        over_no_notes=mean_interval(paired) if len(paired) > 1 and packs is not without else None,
        malformed=share_interval([_mean(loops, lambda loop: fmean(loop.malformed)) for loops in packs.values()]),
        notes_malformed=share_interval([_mean(loops, lambda loop: fmean(loop.notes_malformed)) for loops in rewritten])
        if rewritten
        else None,
        reply_tokens=mean_interval([_mean(loops, lambda loop: fmean(loop.reply_tokens)) for loops in packs.values()]),
        notes_tokens=mean_interval([_mean(loops, lambda loop: fmean(loop.notes_tokens)) for loops in rewritten])
        if len(rewritten) > 1
        else None,
    )


def _mean_columns(rows: Iterable[Sequence[float]]) -> list[float]:
    """Return the mean at each position."""
    return [fmean(column) for column in zip(*rows, strict=True)]


def _mean(loops: tuple[PlayedLoop, ...], value: Callable[[PlayedLoop], float]) -> float:
    """Return the mean over the loops of a pack: one pack is one observation."""
    return fmean(map(value, loops))
