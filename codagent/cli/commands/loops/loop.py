"""`codagent loop` and `codagent branch`: attempts at a task, each with a fresh context, until the gates pass."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from codagent.cli import options, user_files
from codagent.cli.commands.allow import allow_local
from codagent.cli.commands.arguments import confirm
from codagent.cli.commands.loops.many import Jobs, On, TotalTokens, TotalUsd, open_executor
from codagent.cli.commands.loops.request import find_files, find_root, read_request, read_request_file
from codagent.cli.commands.loops.task_files import CrowdOptions, Places, run_files
from codagent.cli.commands.records.outcome import finish
from codagent.cli.numbers import at_least
from codagent.cli.terminal.event_stream import EventStream
from codagent.cli.terminal.output import say, warn
from codagent.cli.terminal.progress import ProgressLines
from codagent.errors import RecordError, RepositoryError, UsageError
from codagent.repository import git
from codagent.runner.model import describe_plan
from codagent.runner.result import iterates
from codagent.runner.spec import LoopSpec
from codagent.settings.settings import Settings
from codagent.store import layout
from codagent.store.record import load
from codagent.text import first_line
from codagent.types import Rewrite

if TYPE_CHECKING:
    from codagent.runner.display import Display
    from codagent.runner.executor import Executor
    from codagent.runner.launch import LaunchOptions

TaskWords = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TASK|FILE]...",
        help="What to do, FILE.md with that text, or FILE.toml with tasks; several files, or a folder/; `-` reads standard input.",
        show_default=False,
    ),
]
RewriteOption = Annotated[
    Rewrite,
    typer.Option("--rewrite", help="Rewrite the notes after each attempt until the checks pass; or always, between attempts, never."),
]
Group = Annotated[
    int,
    typer.Option(
        "--group",
        parser=at_least(1),
        metavar="N",
        help="Run N loops from the same start, at each file. The first that passes ends the others.",
    ),
]
Continue = Annotated[
    bool, typer.Option("--continue", help="Of several files: resume what was broken off, and do not run again what is over.")
]
All = Annotated[bool, typer.Option("--all", help="Let every loop of the group run to its end.")]


@options.takes_settings(*options.OF_LOOP)
def loop(
    task: TaskWords = None,
    *,
    resume: Annotated[str | None, typer.Option("--resume", metavar="ID", help="Continue an interrupted loop or run.")] = None,
    repo: options.Repo = Path(),
    flags: options.Flags,
    notes: Annotated[
        Path | None, typer.Option("--notes", metavar="FILE", help="File of the notes.", show_default=".codagent/notes.md")
    ] = None,
    rewrite: RewriteOption = "until-passed",
    from_: Annotated[
        Literal["best", "last", "start"],
        typer.Option("--from", help="Files that an attempt starts from: the best, the last, or the first."),
    ] = "best",
    group: Group = 1,
    jobs: Jobs = None,
    on: On = None,
    all_: All = False,
    continue_: Continue = False,
    total_tokens: TotalTokens = None,
    total_usd: TotalUsd = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the limits and the highest possible cost, and stop.")] = False,
    seed: options.Seed = None,
    record: options.RecordDir = None,
    json_: options.Json = False,
    stream_json: options.StreamJson = False,
) -> None:
    """Work on a task repeatedly, until its checks pass.

    Each attempt starts with a fresh context. Only files and notes are handed on.
    """
    from codagent.runner.launch import resume as resume_loop
    from codagent.runner.launch import start

    pattern = LoopSpec("", "", (), iterate=True, rewrite=rewrite, start=from_, seed=seed)
    if files := [] if resume else find_files(task or ()):
        if notes or dry_run:
            raise UsageError("--notes and --dry-run are for one task; give them with one task file")
        if group > 1 and not all_:
            raise UsageError("with several task files, --group needs --all: there, no loop of a group ends the others")
        crowd = CrowdOptions(on, group, jobs, total_tokens, total_usd, continue_, json_, stream_json)
        run_files(files, pattern, flags, Places(repo, record), crowd)
    if continue_ or total_tokens or total_usd:
        raise UsageError("--continue, --total-tokens and --total-usd are for several task files; --resume ID continues one loop")
    file = None if resume else read_request_file(" ".join(task) if task else None)
    loops = options.loops_dir(root := find_root(repo, file), record, make=True)
    if file is None:
        flags = {key: flags[key] for key in options.OF_BRANCH} | {"notes": notes.resolve() if notes else None}
        person = options.person(warn, flags)
        allow_local(root, person.settings)
        with open_executor(on, jobs) as (executor, _):
            resumed = resume_loop(_launch(root, loops, person.settings, executor, stream=stream_json), resume or "", flags, person)
        finish([resumed], json_=json_, stream=stream_json)
    tasks, settings = read_request(file, root, flags)
    if dry_run:
        lines = describe_plan(tasks, settings)
        say(json.dumps({"plan": lines}) if json_ else "\n".join(lines))
        return
    allow_local(root, settings)
    pattern = replace(pattern, tasks=tasks, start_commit=file.start).with_own(user_files.read_own())
    with open_executor(on, jobs) as (executor, at_once):
        launch = _launch(root, loops, settings, executor, count=group, at_once=at_once, all_=all_, stream=stream_json)
        results = start(launch, pattern, notes.resolve() if notes else layout.notes_path(loops))
    finish(results, json_=json_, stream=stream_json)


@options.takes_settings(*options.OF_BRANCH)
def branch(
    loop_id: options.LoopId = None,
    *,
    at: Annotated[int, typer.Option("--at", parser=at_least(1), metavar="K", help="Start from the files and notes after iteration K.")],
    repo: options.Repo = Path(),
    flags: options.Flags,
    group: Group = 1,
    jobs: Jobs = None,
    on: On = None,
    all_: All = False,
    seed: options.Seed = None,
    record: options.RecordDir = None,
    json_: options.Json = False,
    stream_json: options.StreamJson = False,
) -> None:
    """Start loops from the state of a loop or run after iteration K.

    They begin with its files and its notes, and have its checks.
    """
    from codagent.runner.launch import branch_spec, start

    root = git.find_root(repo)
    loops = options.loops_dir(root, record, make=True)
    loop_id = loop_id or _find_latest_loop(loops)
    person = options.person(warn, flags)
    allow_local(root, person.settings)
    settings, pattern = branch_spec(loops, loop_id, at, flags, person)
    warn(f"branching off {loop_id} after iteration {at}: {first_line(pattern.tasks[0].instruction, 80)}")
    with open_executor(on, jobs) as (executor, at_once):
        launch = _launch(root, loops, settings, executor, count=group, at_once=at_once, all_=all_, stream=stream_json)
        results = start(launch, replace(pattern, seed=seed), None)
    finish(results, json_=json_, stream=stream_json)


def _find_latest_loop(loops: Path) -> str:
    """Return the id of the latest loop. Runs are none. Raises UsageError when it has passed: who wants to go on from it has to name it."""
    for loop_id in reversed(layout.list_loops(loops)):
        with suppress(RecordError, RepositoryError):
            latest = load(loops / loop_id / layout.RECORD)
            if not iterates(latest):
                continue
            if latest.end == "passed":
                raise UsageError(f"the latest loop, {loop_id}, has passed; name it to branch off from it all the same")
            return loop_id
    raise UsageError(f"there is no loop in {loops} to branch off from; `codagent list` shows what there is")


def _launch(
    root: Path,
    loops: Path,
    settings: Settings,
    executor: Executor,
    *,
    count: int = 1,
    at_once: int = 1,
    all_: bool = False,
    stream: bool = False,
) -> LaunchOptions:
    from codagent.runner.launch import LaunchOptions

    display, member = (EventStream(), EventStream) if stream else _displays(alone=count == 1)
    return LaunchOptions(root, loops, settings, options.access(settings.model), display, member, count, at_once, all_, confirm, executor)


def _displays(*, alone: bool) -> tuple[Display, Callable[[str], Display]]:
    """Return the display of all loops, and what makes that of one loop of a group. On a terminal they are drawn, else there are lines."""
    if alone:
        return _display_one(), lambda prefix: ProgressLines(prefix=prefix)
    from codagent.cli.terminal.group import GroupBoard, GroupLines

    if not sys.stderr.isatty():
        return GroupLines(), lambda prefix: ProgressLines(prefix=prefix)
    board = GroupBoard()
    return board, board.member


def _display_one() -> Display:
    if not sys.stderr.isatty():
        return ProgressLines()
    from codagent.cli.terminal.live import Live

    return Live()
