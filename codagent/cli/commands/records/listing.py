"""`codagent list` and `codagent clean`: the loops of a repository."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from codagent.cli import options
from codagent.cli.terminal.output import say, warn
from codagent.errors import RecordError, RepositoryError, UsageError
from codagent.repository import git
from codagent.runner.endings import label_of
from codagent.runner.result import cost, is_session, iterations, kind_of, outcome_label, short_model
from codagent.session.conversation import is_act
from codagent.store import layout
from codagent.store.lock import Lock
from codagent.store.record import load
from codagent.text import first_line, format_usd, strip_controls

_HEADING = ("id", "kind", "outcome", "ended", "attempts", "cost", "model", "task")
_WIDTH = 10_000  # columns, where there is no terminal to fit into


def list_(*, repo: options.Repo = Path(), record: options.RecordDir = None, json_: options.Json = False) -> None:
    """List the sessions, runs and loops here, the latest last.

    One whose record is damaged is listed with the reason.
    """
    loops = options.loops_dir(git.find_root(repo), record)
    rows = [_summary_row(loop_id, loops / loop_id / layout.RECORD) for loop_id in layout.list_loops(loops)]
    if json_:
        say(json.dumps(rows))
        return
    if not rows:
        warn('nothing was done here yet; `codagent "TASK"` begins')
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH
    for line in _format_table(rows, width):
        say(line)


def clean(
    loop_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of sessions, runs or loops to delete.", show_default=False)
    ] = None,
    *,
    repo: options.Repo = Path(),
    record: options.RecordDir = None,
    all_: Annotated[bool, typer.Option("--all", help="Delete every session, run and loop of this repository.")] = False,
) -> None:
    """Delete sessions, runs and loops, and containers that were left.

    The record and the branch of each are deleted. What is being worked on is left alone. With --all, applied changes can no longer be
    taken back.
    """
    root = git.find_root(repo)
    loops = options.loops_dir(root, record)
    if all_:
        git.forget_applied(root)
    chosen = layout.list_loops(loops) if all_ else [layout.find_loop(loops, wanted) for wanted in loop_ids or []]
    exit_code = 0
    for loop_id in chosen:
        try:
            with Lock(loops / loop_id / layout.LOCK):
                with suppress(UsageError):  # the folder's name is no id of a loop, so git has nothing of it
                    git.unpublish(root, loop_id)
                shutil.rmtree(loops / loop_id)
        except (RepositoryError, UsageError) as error:
            warn(f"codagent: {error}")
            exit_code = error.exit_code
            continue
        say(f"removed {loop_id}")
    from codagent.sandbox.docker.reaper import reap

    containers = reap()
    for name in containers:
        say(f"removed container {name}")
    if not chosen and not containers:
        warn("nothing was removed; name an id of `codagent list`, or --all")
    if exit_code:
        raise typer.Exit(exit_code)


def _format_table(rows: Sequence[dict[str, Any]], width: int) -> Iterator[str]:
    """Yield a heading and a line for each loop, of at most `width` columns of the terminal. The task comes last."""
    from rich.cells import cell_len, set_cell_size

    table = [_HEADING, *(_cells(row) for row in rows)]
    widths = [max(cell_len(cells[column]) for cells in table) for column in range(len(_HEADING) - 1)]
    for cells in table:
        columns = [set_cell_size(text, wide) for text, wide in zip(cells, widths, strict=False)]
        line = "  ".join([*columns, cells[-1]]).rstrip()
        yield line if cell_len(line) <= width else set_cell_size(line, width - 1).rstrip() + "…"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    when = time.strftime("%b %d %H:%M", time.localtime(row["ended"]))
    text = first_line(strip_controls(row.get("error") or row["task"]), _WIDTH)
    if "error" in row:
        return row["id"], "", "damaged", when, "", "", "", text
    cost = "unknown" if row["usd"] is None else format_usd(row["usd"])
    ended = (row["kind"], label_of(row["outcome"]), when)
    return row["id"], *ended, str(row["iterations"]), cost, strip_controls(short_model(row["model"])), text


def _summary_row(loop_id: str, record: Path) -> dict[str, Any]:
    """Return what `list` tells of a loop; with the key "error" when its record cannot be read."""
    ended = record.stat().st_mtime
    try:
        loop = load(record)
        attempts = loop.attempts
        first = next((attempt for attempt in attempts if not is_act(attempt)), None)
        outcome, task = outcome_label(loop) if attempts else "not begun", first.task.instruction if first else ""
        facts = {
            "kind": kind_of(loop),
            "group": loop.group,
            "model": loop.model,
            "iterations": sum(not is_act(attempt) for attempt in attempts) if is_session(loop) else iterations(loop),
            "outcome": outcome,
            "task": task,
            "usd": cost(loop),
        }
    except (RecordError, RepositoryError) as error:
        facts = {"kind": "", "group": "", "model": "", "iterations": 0, "outcome": "damaged", "task": "", "usd": None, "error": str(error)}
    return {"id": loop_id, "ended": ended, **facts}
