"""Reports on evaluations as a Markdown table, for people, and as JSON, for whatever reads on."""

from __future__ import annotations

import json
from collections.abc import Sequence

from codagent.codec import encode
from codagent_train.ceilings import Estimate
from codagent_train.evaluate import Report


def markdown(report: Report) -> str:
    """A row for each of what was measured and of what can be reached, a column for each position."""
    bounds, every = report.bounds, range(report.setting.tasks)
    heads = [f"position {position}" for position in every]
    rows = [
        ["reward", *map(_told, report.reward)],
        ["reward, all that was seen carried", *map(_told, bounds.reward)],
        ["reward, mapping known", *_same(bounds.known, every)],
        ["success", *map(_told, report.success)],
        ["success, all that was seen carried", *map(_told, bounds.success)],
        ["success, best play without notes", *_same(bounds.alone, every)],
        ["success, random play", *_same(bounds.chance, every)],
        ["notes tell the mapping", *(_told(noted.whole) for noted in report.notes)],
        ["directions that notes have right", *(_told(noted.right) for noted in report.notes)],
        ["directions that notes have wrong", *(_told(noted.wrong) for noted in report.notes)],
    ]
    title = f"**{report.player}** on {report.setting}: {report.packs} packs, {report.loops} loops"
    if report.broken_off:
        title += f", {report.broken_off} more broken off"
    gain = f"Reward at the last position less that at the first: {_told(report.gain)} (± is half of a 95 % interval over packs)."
    return "\n".join([title, "", _row(["", *heads]), _row(["---"] * (len(heads) + 1)), *map(_row, rows), "", gain])


def as_json(reports: Sequence[Report]) -> str:
    return json.dumps(encode(list(reports)), indent=2)


def _told(estimate: Estimate) -> str:
    return f"{estimate.mean:.2f} ± {estimate.margin:.2f}"


def _same(estimate: Estimate, every: range) -> list[str]:
    return [_told(estimate) for _ in every]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
