"""`codagent run --no-git`: a task in a folder that is no git repository."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from codagent.cli import options, user_files
from codagent.cli.commands.records.outcome import finish
from codagent.cli.terminal.event_stream import EventStream
from codagent.cli.terminal.progress import ProgressLines
from codagent.errors import RepositoryError, UsageError
from codagent.repository import git
from codagent.runner.model import open_model, say_which_model
from codagent.settings.settings import Settings
from codagent.store import layout
from codagent.types import Task

if TYPE_CHECKING:
    from codagent.runner.display import Display


def run_folder(
    root: Path, instruction: str, settings: Settings, *, record: Path | None, seed: int | None, json_: bool, stream: bool
) -> NoReturn:
    """Work on a task in the folder `root`, say what became of its files, and exit. UsageError when it is in a git repository."""
    from codagent.folder.folder_run import FolderWork, run_in_folder
    from codagent.sandbox.pool import SandboxFactory

    _refuse_repository(root)
    loops = layout.make_loops_dir(layout.home_dir(root, record))
    display: Display = EventStream() if stream else ProgressLines()
    access = options.access(settings.model)
    say_which_model(settings, access, display)
    start = SandboxFactory(root, settings, display.say, access.allow)
    loop_id = layout.create_loop(loops)
    try:
        opened = open_model(settings, access, say=display.say)
        task = Task(loop_id, instruction, settings.checks)
        work = FolderWork(task, loops / loop_id, settings, seed=seed, user_rules=user_files.read_user_rules())
        with closing(opened.model):
            result, changes = run_in_folder(root, work, opened, start, display)
    finally:
        layout.remove_unrecorded(loops / loop_id)
    finish([result], json_=json_, stream=stream, files=asdict(changes))


def _refuse_repository(root: Path) -> None:
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; name one with --repo")
    with suppress(RepositoryError):
        found = git.find_root(root)
        raise UsageError(f"{root} is in the git repository {found}; leave --no-git away, so that your files stay as they are")
