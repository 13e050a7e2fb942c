"""Prepare what `iteration.html` shows of one iteration: what was done, why it ended, what the gates say, what changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from codagent.cli.page.patch import Line, Patch, compare_texts, is_long, parse_patch
from codagent.cli.page.summary import IterationSummary, describe_end
from codagent.errors import RepositoryError
from codagent.repository.attempts import Claim, claim_of
from codagent.text import format_usd

Diff = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Section:
    """One iteration, ready for the template."""

    iteration: IterationSummary
    claim: Claim  # what the agent says of its own work
    end: str  # a sentence
    patch: Patch | None  # None: no file changed, or git could not show the change
    patch_error: str  # why git could not show the change; "": it could
    patch_is_long: bool
    notes_malformed: bool
    notes_lines: tuple[Line, ...]  # empty: the notes stay as they were
    notes_are_long: bool


def prepare_section(iteration: IterationSummary, diff: Diff) -> Section:
    """Prepare an iteration for the template. `diff` returns the patch between two commits, or raises RepositoryError."""
    attempt, notes = iteration.attempt, iteration.notes
    raw, error = "", ""
    if iteration.change:
        try:
            raw = diff(*iteration.change)
        except RepositoryError as failure:
            error = str(failure)
    before, after = (notes.notes_before, notes.notes_after or "") if notes else ("", "")
    return Section(
        iteration,
        claim=claim_of(attempt),
        end=describe_end(attempt.end, attempt.cause),
        patch=parse_patch(raw) if iteration.change and not error else None,
        patch_error=error,
        patch_is_long=is_long(raw),
        notes_malformed=bool(notes and notes.outcome and notes.outcome.reward < 0),
        notes_lines=compare_texts(before, after),
        notes_are_long=is_long(f"{before}\n{after}"),
    )


def format_duration(seconds: float) -> str:
    """Write seconds as a person says them: `8.0 s`, `1 min 30 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def format_money(usd: float | None) -> str:
    """Write an amount in US dollars. None: `not known`."""
    return "not known" if usd is None else format_usd(usd)
