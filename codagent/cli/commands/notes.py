"""`codagent notes`: what a loop left in the notes, how that changed, and the way back."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Annotated

import typer

from codagent.agent.loop import notes as notes_of
from codagent.cli import options
from codagent.cli.commands.records import Kept, kept
from codagent.cli.terminal.output import say, write
from codagent.cli.terminal.paint import paint
from codagent.errors import UsageError
from codagent.runner.spec import is_sealed, notes_file_for
from codagent.store import layout
from codagent.store.notes_file import PERSON, NotesFile
from codagent.store.record import solved
from codagent.types import Loop

notes = typer.Typer(no_args_is_help=True, help="The notes that are carried from attempt to attempt.")
At = Annotated[
    int | None, typer.Option("--at", min=0, metavar="K", help="After iteration K; 0: before the first.", show_default="the last")
]


@notes.command()
def show(loop_id: options.LoopId = None, *, at: At = None, repo: options.Repo = Path(), record: options.RecordDir = None) -> None:
    """Print the notes as a loop left them."""
    say(_after(kept(repo, record, loop_id).loop, at))


@notes.command()
def diff(loop_id: options.LoopId = None, *, at: At = None, repo: options.Repo = Path(), record: options.RecordDir = None) -> None:
    """Print how the notes changed over a loop, or in its iteration K."""
    loop = kept(repo, record, loop_id).loop
    before, after = (loop.notes, _after(loop, None)) if not at else (_after(loop, at - 1), _after(loop, at))
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="")
    write(paint("\n".join(lines), color=sys.stdout.isatty() and options.colour()) + "\n", sys.stdout)


@notes.command()
def rollback(loop_id: options.LoopId = None, *, at: At = 0, repo: options.Repo = Path(), record: options.RecordDir = None) -> None:
    """Put the notes back to what they were before a loop, or after its iteration K. A loop that runs takes it as your edit."""
    found: Kept = kept(repo, record, loop_id)
    loops = found.folder.parent
    wanted = str(found.loop.settings.get("job", {}).get("notes_file") or layout.notes_path(loops))
    file = Path(wanted) if is_sealed(found.loop, options.secret()) else notes_file_for(loops, found.loop.id, wanted)
    NotesFile(file, layout.versions_dir(loops), who=PERSON).write(_after(found.loop, at))
    say(file)


def _after(loop: Loop, at: int | None) -> str:
    """The notes after iteration `at`, counted from 1; None: after the last."""
    if at is None:
        return notes_of(loop)
    attempts = len(solved(loop))
    if at > attempts:
        raise UsageError(f"loop {loop.id} has {attempts} iterations, not {at}")
    past = [episode for episode in loop.episodes if episode.position < at]
    return notes_of(Loop(loop.id, loop.group, loop.environment, loop.model, loop.start_commit, tuple(past), loop.notes))
