"""The page by which a person judges an improvement."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent_train.improve.comparison import MEASURES, LoopResult, compare, mean_of, measure_loops, read_results
from codagent_train.improve.phases import ADAPTER, Improvement
from codagent_train.improve.times import read_times
from codagent_train.intervals import Estimate

PAGE = "report.html"


def write_page(wanted: Improvement, out: Path) -> str:
    """Write the page into the folder of an improvement, and return its verdict as a sentence."""
    from jinja2 import Environment

    before, after = (read_results(out / "records" / phase) for phase in ("before", "after"))
    recorded = measure_loops(out / "records" / "record")
    first = compare(before, after, "first")
    verdict = describe_difference(first)
    template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    page = Environment(autoescape=True).from_string(template).render(
        model=wanted.model,
        verdict=verdict,
        tasks=len(before.keys() & after.keys()),
        rows=[_row(before, after, measure) for measure in MEASURES],
        repositories=", ".join(wanted.repositories),
        trained_tasks=len({result.task for result in recorded}),
        tokens=f"{sum(result.tokens for result in recorded):,}",
        times=[(name, f"{seconds / 60:.1f} minutes") for name, seconds in read_times(out).items()],
        curve=_draw_curve(out),
        adapter=out / ADAPTER,
        all_tasks=[_task_row(task, before[task], after[task]) for task in sorted(before.keys() & after.keys())],
    )  # fmt: skip
    (out / PAGE).write_text(page, encoding="utf-8")
    return verdict


def describe_difference(first: Estimate | None) -> str:
    """Say in a sentence whether the adapter solves more tasks at the first attempt."""
    if first is None:
        return "There are too few held-out tasks to say anything."
    interval = f"the difference is {first.mean:+.2f}, 95 % interval {first.mean - first.margin:+.2f} to {first.mean + first.margin:+.2f}"
    if first.mean - first.margin > 0:
        return f"With the adapter, more held-out tasks are solved at the first attempt: {interval}."
    if first.mean + first.margin < 0:
        return f"With the adapter, fewer held-out tasks are solved at the first attempt: {interval}. Do not use it."
    return f"It is not shown that the adapter solves more held-out tasks at the first attempt: {interval}."


def _row(before: Mapping[str, LoopResult], after: Mapping[str, LoopResult], measure: str) -> dict[str, str]:
    difference = compare(before, after, measure)
    shown = f"{difference.mean:+.2f} ± {difference.margin:.2f}" if difference else "-"
    return {
        "name": MEASURES[measure],
        "before": _show(mean_of(before, measure)),
        "after": _show(mean_of(after, measure)),
        "difference": shown,
    }


def _task_row(task: str, before: LoopResult, after: LoopResult) -> dict[str, Any]:
    words = {0.0: "failed", 1.0: "passed"}
    return {
        "id": task,
        "first_before": words[before.first],
        "first_after": words[after.first],
        "reward_before": _show(before.reward),
        "reward_after": _show(after.reward),
    }


def _draw_curve(out: Path) -> str:
    """Return the curve of the rewards as PNG in base64. "": there are none, or matplotlib is not installed."""
    from codagent_train.evaluation.plots import draw

    file = out / "reward.png"
    with suppress(UsageError):
        draw(out / "run", file)
    return base64.b64encode(file.read_bytes()).decode() if file.is_file() else ""


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
