"""Reports as Markdown tables for people, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from codagent.errors import UsageError
from codagent_train.evaluation.report import Report
from codagent_train.intervals import Estimate


def to_markdown(report: Report) -> str:
    """Return a table with a row for each quantity, measured or reachable, and a column for each position."""
    ceilings, positions = report.ceilings, range(report.setting.tasks)
    heads = [f"position {position}" for position in positions]
    rows = [
        ["reward", *map(_format, report.reward)],
        ["reward, all that was seen carried", *map(_format, ceilings.reward)],
        ["reward, mapping known", *_repeat(ceilings.known_mapping, positions)],
        ["success", *map(_format, report.success)],
        ["success, all that was seen carried", *map(_format, ceilings.success)],
        ["success, best play without notes", *_repeat(ceilings.no_notes, positions)],
        ["success, random play", *_repeat(ceilings.chance, positions)],
        ["notes tell the mapping", *(_format(accuracy.whole) for accuracy in report.notes)],
        ["directions that notes have right", *(_format(accuracy.right) for accuracy in report.notes)],
        ["directions that notes have wrong", *(_format(accuracy.wrong) for accuracy in report.notes)],
    ]
    title = f"**{report.player}** on {report.setting}: {report.packs} packs, {report.loops} loops"
    if report.broken_off:
        title += f", {report.broken_off} more broken off"
    gain = f"Reward at the last position less that at the first: {_format(report.gain)} (± is half of a 95 % interval over packs)."
    return "\n".join([title, "", _row(["", *heads]), _row(["---"] * (len(heads) + 1)), *map(_row, rows), "", gain])


def to_json(reports: Sequence[Report]) -> str:
    return json.dumps([asdict(report) for report in reports], indent=2) + "\n"


def write_json(file: Path, reports: Sequence[Report]) -> None:
    """Write the reports into the file, in place of what it held. Raises UsageError when it cannot be written."""
    with _writing(file):
        file.write_text(to_json(reports), encoding="utf-8")


def check_writable(file: Path) -> None:
    """Raise UsageError when the file cannot be written. What it holds stays."""
    with _writing(file), file.open("a"):
        pass


def _format(estimate: Estimate) -> str:
    return f"{estimate.mean:.2f} ± {estimate.margin:.2f}"


def _repeat(estimate: Estimate, positions: range) -> list[str]:
    return [_format(estimate) for _ in positions]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"the reports cannot be written to {file}: {error.strerror}") from None
