"""What recorded loops say of a model: success at the first attempt and later, answers without code, mean reward, by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from codagent.runner.result import is_over
from codagent.store.record import load
from codagent.types import Episode, Loop
from codagent_train.intervals import Estimate, mean_interval


@dataclass(frozen=True, slots=True)
class LoopResult:
    """How a model did in a loop that came to its end or to a limit."""

    task: str  # its id
    first: float  # 1.0: it passed at the first attempt
    later: float  # 1.0: it passed at some attempt
    reward: float  # of the first attempt
    without_code: float  # share of the answers that called no tool
    tokens: int  # that were sampled


MEASURES: Mapping[str, str] = {
    "first": "success at the first attempt",
    "later": "success within all attempts",
    "reward": "mean reward of the first attempt",
    "without_code": "share of answers without code",
}


def measure_loops(folder: Path) -> list[LoopResult]:
    """Measure the loops on record below `folder`. One that was broken off is left out; it goes on when its command is given again."""
    loops = (load(file) for file in sorted(folder.glob("**/record.jsonl")))
    return [_measure(loop) for loop in loops if loop.attempts and is_over(loop)]


def read_results(folder: Path) -> dict[str, LoopResult]:
    """Return the result of the latest loop at each task, by the ids of the tasks."""
    return {result.task: result for result in measure_loops(folder)}


def compare(before: Mapping[str, LoopResult], after: Mapping[str, LoopResult], measure: str) -> Estimate | None:
    """Estimate the difference of a measure, after less before, over the tasks that both did. None: these are fewer than two."""
    both = sorted(before.keys() & after.keys())
    return mean_interval([getattr(after[task], measure) - getattr(before[task], measure) for task in both]) if len(both) > 1 else None


def mean_of(results: Mapping[str, LoopResult], measure: str) -> float | None:
    return fmean(getattr(result, measure) for result in results.values()) if results else None


def _measure(loop: Loop) -> LoopResult:
    attempts = loop.attempts
    steps = [step for attempt in attempts for step in attempt.steps]
    return LoopResult(
        task=attempts[0].task.id,
        first=float(_passed(attempts[:1])),
        later=float(_passed(attempts)),
        reward=attempts[0].outcome.reward if attempts[0].outcome else 0.0,
        without_code=fmean(not step.reply.message.tool_calls for step in steps) if steps else 0.0,
        tokens=sum(step.reply.completion_tokens for step in steps),
    )


def _passed(attempts: Sequence[Episode]) -> bool:
    return any(attempt.outcome is not None and attempt.outcome.passed for attempt in attempts)
