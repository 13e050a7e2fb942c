"""`codagent notes`: the notes that a loop left, how they changed, and how to restore them."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Annotated

import typer

from codagent.cli import options, user_files
from codagent.cli.commands.records.stored import load_stored
from codagent.cli.numbers import at_least
from codagent.cli.terminal.output import say, warn, write
from codagent.cli.terminal.paint import paint
from codagent.errors import UsageError
from codagent.repository import git
from codagent.runner.spec import is_sealed, notes_file_for
from codagent.store import layout
from codagent.store.notes_file import PERSON, NotesFile
from codagent.text import count
from codagent.types import Loop

notes = typer.Typer(no_args_is_help=True, help="Show and restore the notes that attempts hand on.", epilog="Example: codagent notes show")
At = Annotated[
    int | None,
    typer.Option(
        "--at",
        parser=at_least(0),
        metavar="K",
        help="The notes after iteration K; 0 means before the first.",
        show_default="the last",
    ),
]
Before = Annotated[
    int, typer.Option("--at", parser=at_least(0), metavar="K", help="The notes after iteration K; 0 means before the first.")
]


@notes.command(epilog="Example: codagent notes show")
def show(loop_id: options.LoopId = None, *, at: At = None, repo: options.Repo = Path(), record: options.RecordDir = None) -> None:
    """Print the notes that a loop left."""
    say(_after(load_stored(repo, record, loop_id).loop, at) or "there are no notes")


@notes.command(epilog="Example: codagent notes diff --at 2")
def diff(loop_id: options.LoopId = None, *, at: At = None, repo: options.Repo = Path(), record: options.RecordDir = None) -> None:
    """Print how the notes changed in a loop, or in its iteration K."""
    loop = load_stored(repo, record, loop_id).loop
    before, after = (loop.notes, _after(loop, None)) if not at else (_after(loop, at - 1), _after(loop, at))
    if before == after:
        warn("the notes did not change")
        return
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="")
    write(paint("\n".join(lines), color=sys.stdout.isatty() and options.colour()) + "\n", sys.stdout)


@notes.command(epilog="Example: codagent notes rollback --at 1")
def rollback(loop_id: options.LoopId = None, *, at: Before = 0, repo: options.Repo = Path(), record: options.RecordDir = None) -> None:
    """Restore the notes to an earlier state.

    That is the state before a loop, or after its iteration K. A running loop takes the restored notes over, like an edit of yours.
    """
    stored = load_stored(repo, record, loop_id)
    loops = stored.folder.parent
    wanted = str(stored.loop.settings.get("job", {}).get("notes_file") or layout.notes_path(loops))
    file = Path(wanted) if is_sealed(stored.loop, user_files.secret()) else notes_file_for(loops, stored.loop.id, wanted)
    NotesFile(file, layout.versions_dir(loops), who=PERSON).write(_after(stored.loop, at))
    warn("the notes are put back")
    say(file)


@notes.command(epilog="Example: codagent notes clear")
def clear(*, repo: options.Repo = Path(), record: options.RecordDir = None) -> None:
    """Empty the notes of the repository. Every version of them is kept."""
    loops = options.loops_dir(git.find_root(repo), record)
    file = layout.notes_path(loops)
    NotesFile(file, layout.versions_dir(loops), who=PERSON).write("")
    warn("the notes are empty; `codagent notes rollback` puts those back that a loop began with")
    say(file)


def _after(loop: Loop, at: int | None) -> str:
    """Return the notes after iteration `at`, counted from 1; None means after the last, 0 before the first.

    Raises UsageError when there are fewer iterations.
    """
    if at is None:
        return loop.latest_notes
    attempts = len(loop.attempts)
    if at > attempts:
        raise UsageError(f"{loop.id} has {count(attempts, 'iteration')}, not {at}")
    past = [episode for episode in loop.episodes if episode.position < at]
    return Loop(loop.id, loop.group, loop.environment, loop.model, loop.start_commit, tuple(past), loop.notes).latest_notes
