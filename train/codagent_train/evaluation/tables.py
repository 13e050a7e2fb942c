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
        ["reward", *map(format_estimate, report.reward)],
        ["reward, best play that forgets nothing", *map(format_estimate, ceilings.reward)],
        ["reward, best play that knows the mapping", *_repeat(ceilings.known_mapping, positions)],
        ["success", *map(format_estimate, report.success)],
        ["success, best play that forgets nothing", *map(format_estimate, ceilings.success)],
        ["success, best play without notes", *_repeat(ceilings.no_notes, positions)],
        ["success, random play", *_repeat(ceilings.chance, positions)],
        ["notes tell the mapping", *(format_estimate(accuracy.whole) for accuracy in report.notes)],
        ["directions that notes have right", *(format_estimate(accuracy.right) for accuracy in report.notes)],
        ["directions that notes have wrong", *(format_estimate(accuracy.wrong) for accuracy in report.notes)],
    ]
    title = f"**{report.player}** on {report.setting}: {report.packs} packs, {report.loops} loops"
    if report.broken_off:
        title += f", {report.broken_off} more broken off"
    gain = f"Reward at the last position less that at the first: {format_estimate(report.gain)} (± is half of a 95 % interval over packs)."
    if report.formless:
        gain += f"\n\n{report.formless:,} of {report.loops * len(positions):,} attempts ended because an answer had no valid form."
    return "\n".join([title, "", format_row(["", *heads]), format_row(["---"] * (len(heads) + 1)), *map(format_row, rows), "", gain])


def to_json(reports: Sequence[Report]) -> str:
    return json.dumps([asdict(report) for report in reports], indent=2) + "\n"


def write_json(file: Path, reports: Sequence[Report]) -> None:
    """Write the reports into the file, in place of what it held. Raises UsageError when it cannot be written."""
    write_text(file, to_json(reports))


def write_text(file: Path, text: str) -> None:
    """Write text into the file, in place of what it held. Raises UsageError when it cannot be written."""
    with _writing(file):
        file.write_text(text, encoding="utf-8")


def check_writable(file: Path) -> None:
    """Raise UsageError when the file cannot be written. What it holds stays."""
    with _writing(file), file.open("a"):
        pass


def format_estimate(estimate: Estimate) -> str:
    return f"{estimate.mean:.2f} ± {estimate.margin:.2f}"


def _repeat(estimate: Estimate, positions: range) -> list[str]:
    return [format_estimate(estimate) for _ in positions]


def format_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"the reports cannot be written to {file}: {error.strerror}") from None
