"""Prints what came of a run, of a loop, or of a group of loops, and ends the command with its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

import typer

from codagent.cli import signals
from codagent.cli.terminal.event_stream import print_event
from codagent.cli.terminal.output import say
from codagent.runner.endings import LABEL_WIDTH, label_of
from codagent.runner.result import exit_code, outcome_label, score, summary, summary_lines
from codagent.runner.spec import Result
from codagent.text import format_usd


def finish(results: Sequence[Result], *, json_: bool, stream: bool = False, files: Mapping[str, Sequence[str]] | None = None) -> NoReturn:
    """Print the results, those of the best loop in full, and exit with its code.

    `files` are those of a folder without git, by what became of them; None: the work was in a repository.
    """
    first = min(results, key=lambda result: exit_code(result.loop) != 0)
    code = signals.exit_code(exit_code(first.loop))
    if json_ or stream:
        group = {"group": first.loop.group, "loops": [summary(result) for result in results]} if len(results) > 1 else {}
        told = {**summary(first), "exit_code": code, **group, **({} if files is None else {"files": files})}
        if stream:
            print_event("end", **told)
        else:
            say(json.dumps(told))
    else:
        if len(results) > 1:
            say("\n".join([*_score_table(results), ""]))
        say("\n".join([*summary_lines(first), *(f"{kind + ':':<8} {path}" for kind, paths in (files or {}).items() for path in paths)]))
    raise typer.Exit(code)


def _score_table(results: Sequence[Result]) -> Iterator[str]:
    """Yield a line for each loop of a group, below a heading. The scores are those of its attempts, 0..1."""
    yield f"{'loop':<16}  {'outcome':<{LABEL_WIDTH}}  {'tokens':>9}  {'cost':>12}  scores"
    for result in sorted(results, key=lambda result: result.loop.id):
        loop, spent = result.loop, result.spent
        row = f"{loop.id:<16}  {label_of(outcome_label(loop)):<{LABEL_WIDTH}}  {spent.tokens:>9,}  {format_usd(spent.cost):>12}"
        yield f"{row}  {' '.join(score(attempt) for attempt in loop.attempts)}"
