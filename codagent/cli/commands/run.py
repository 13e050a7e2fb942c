"""`codagent run`: one task, or a session of tasks on a terminal."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codagent.cli import options, user_files
from codagent.cli.commands.allow import allow_local, allow_servers
from codagent.cli.commands.arguments import instruction_of
from codagent.cli.commands.session import WAIT_S, open_session
from codagent.cli.terminal.event_stream import EventStream
from codagent.cli.terminal.progress import ProgressLines
from codagent.errors import UsageError
from codagent.repository import git
from codagent.runner.model import open_model, say_which_model
from codagent.runner.spec import LoopSpec
from codagent.store import layout
from codagent.types import Task

if TYPE_CHECKING:
    from codagent.runner.display import Display
    from codagent.runner.runner import Runner

TaskWords = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TASK]...", help="What to do; `-` reads standard input. Without it, a session starts.", show_default=False),
]


@options.takes_settings(*options.OF_RUN)
def run(
    task: TaskWords = None,
    *,
    repo: options.Repo = Path(),
    flags: options.Flags,
    record: options.RecordDir = None,
    seed: options.Seed = None,
    no_git: Annotated[bool, typer.Option("--no-git", help="Work on a folder that is no git repository, and change its files.")] = False,
    json_: options.Json = False,
    stream_json: options.StreamJson = False,
) -> None:
    """Work on a task in a git repository, inside a sandbox.

    The result is a commit on a branch of its own.
    """
    instruction = instruction_of(" ".join(task) if task else None)
    if instruction is None:
        if no_git:
            raise UsageError("--no-git needs a task: a session works in a git repository")
        open_session(repo, record, seed, flags)
        return
    if no_git:
        from codagent.cli.commands.loops.folder import run_folder

        settings = options.read_settings(repo.resolve(), wait_s=WAIT_S, **flags)
        allow_local(repo, settings)
        run_folder(repo.resolve(), instruction, settings, record=record, seed=seed, json_=json_, stream=stream_json)
    run_task(repo, instruction, flags, record=record, seed=seed, json_=json_, stream=stream_json)


def run_task(
    repo: Path,
    instruction: str,
    flags: options.Flags,
    *,
    record: Path | None,
    seed: int | None = None,
    json_: bool = False,
    stream: bool = False,
) -> None:
    """Work on one task, tell the result, and end the command with its exit code."""
    from codagent.runner.runner import Runner

    root = git.find_root(repo)
    settings = options.read_settings(root, wait_s=WAIT_S, **flags)
    allow_local(root, settings)
    settings = allow_servers(root, settings)
    loops = options.loops_dir(root, record, make=True)
    progress: Display = EventStream() if stream else ProgressLines()
    access = options.access(settings.model)
    say_which_model(settings, access, progress)
    opening = partial(open_model, settings, access, say=progress.say)
    with closing(Runner(root, settings, loops=loops, display=progress, open_model=opening, access=access)) as runner:
        result = runner.run(_spec(runner, instruction, seed))
    from codagent.cli.commands.records.outcome import finish

    finish([result], json_=json_, stream=stream)


def _spec(runner: Runner, instruction: str, seed: int | None) -> LoopSpec:
    loop_id = layout.create_loop(runner.loops)
    task = Task(loop_id, instruction, runner.settings.checks)
    return LoopSpec(loop_id, loop_id, (task,), seed=seed).with_own(user_files.read_own())
