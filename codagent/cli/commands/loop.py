"""`codagent loop` and `codagent branch`: attempts at a task, each with a fresh context, until the gates pass."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from codagent.cli import options, signals
from codagent.cli.commands.arguments import instruction_of
from codagent.cli.terminal.output import say, warn
from codagent.cli.terminal.progress import ProgressLines
from codagent.errors import UsageError
from codagent.repository import git
from codagent.runner.model import worst_case
from codagent.runner.result import exit_code, iterations, outcome_label, summary, summary_lines
from codagent.runner.spec import LoopSpec, Result
from codagent.settings.settings import Settings
from codagent.store import layout
from codagent.types import Task

if TYPE_CHECKING:
    from codagent.runner.launch import LaunchOptions
    from codagent.settings.layers import Layer

TaskText = Annotated[
    str | None,
    typer.Argument(
        metavar="[TASK|FILE]",
        help="What to do, FILE.md with that text, or FILE.toml with tasks; `-` reads standard input.",
        show_default=False,
    ),
]
RewriteOption = Annotated[
    Literal["always", "between", "never"],
    typer.Option("--rewrite", help="Rewrite the notes after each attempt, only between two attempts, or never."),
]
Group = Annotated[
    int, typer.Option("--group", min=1, metavar="N", help="Run N loops from the same start. The first that passes ends the others.")
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, metavar="N", help="How many loops run at the same time.")]
All = Annotated[bool, typer.Option("--all", help="Let every loop of the group run to its end.")]


def loop(
    task: TaskText = None,
    *,
    resume: Annotated[str | None, typer.Option("--resume", metavar="ID", help="Continue an interrupted loop or run.")] = None,
    repo: options.Repo = Path(),
    model: options.Model = None,
    effort: options.EffortOption = None,
    sandbox: options.Sandbox = None,
    check: options.Check = None,
    protect: options.Protect = None,
    allow: options.Allow = None,
    iterations: options.Iterations = None,
    patience: options.Patience = None,
    max_steps: options.MaxSteps = None,
    max_tokens: options.MaxTokens = None,
    max_seconds: options.MaxSeconds = None,
    max_usd: options.MaxUsd = None,
    wait: options.Wait = None,
    notes: Annotated[
        Path | None, typer.Option("--notes", metavar="FILE", help="File of the notes.", show_default=".codagent/notes.md")
    ] = None,
    rewrite: RewriteOption = "always",
    from_: Annotated[
        Literal["best", "last", "start"],
        typer.Option("--from", help="Files that an attempt starts from: the best, the last, or the first."),
    ] = "best",
    group: Group = 1,
    jobs: Jobs = 2,
    all_: All = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the limits and the highest possible cost, and stop.")] = False,
    seed: options.Seed = None,
    record: options.RecordDir = None,
    json_: options.Json = False,
) -> None:
    """Work on a task repeatedly, until its checks pass.

    Each attempt starts with a fresh context. Only files and notes are handed on.
    """
    from codagent.runner.launch import resume as resume_loop
    from codagent.runner.launch import start

    loops = options.loops_dir(root := git.find_root(repo), record, make=True)
    limits = options.limits(max_steps, max_tokens, max_seconds, max_usd)
    limits |= {"iterations": iterations, "patience": patience, "wait": wait}
    if resume:
        flags = {**limits, "model": model, "effort": effort, "sandbox": sandbox, "notes": notes.resolve() if notes else None}
        person = options.person(warn, flags)
        finish([resume_loop(_launch(root, loops, person.settings), resume, flags, person)], json_=json_)
    chosen = {"model": model, "effort": effort, "sandbox": sandbox, "checks": check, "protect": protect, "allow": allow}
    tasks, settings = _read_request(task, root, {**chosen, **limits})
    if dry_run:
        say("\n".join(worst_case(settings)))
        return
    rules = options.read_user_rules()
    pattern = LoopSpec("", "", tasks, iterate=True, rewrite=rewrite, start=from_, seed=seed, user_rules=rules)
    launch = _launch(root, loops, settings, count=group, at_once=jobs, all_=all_)
    finish(start(launch, pattern, notes.resolve() if notes else layout.notes_path(loops)), json_=json_)


def branch(
    loop_id: options.LoopId = None,
    *,
    at: Annotated[int, typer.Option("--at", min=1, metavar="K", help="Start from the files and notes after iteration K.")],
    repo: options.Repo = Path(),
    model: options.Model = None,
    effort: options.EffortOption = None,
    sandbox: options.Sandbox = None,
    iterations: options.Iterations = None,
    patience: options.Patience = None,
    max_steps: options.MaxSteps = None,
    max_tokens: options.MaxTokens = None,
    max_seconds: options.MaxSeconds = None,
    max_usd: options.MaxUsd = None,
    wait: options.Wait = None,
    group: Group = 1,
    jobs: Jobs = 2,
    all_: All = False,
    seed: options.Seed = None,
    record: options.RecordDir = None,
    json_: options.Json = False,
) -> None:
    """Start loops from another loop's state after iteration K.

    They begin with its files and its notes, and have its checks.
    """
    from codagent.runner.launch import branch_spec, start

    root = git.find_root(repo)
    limits = options.limits(max_steps, max_tokens, max_seconds, max_usd)
    limits |= {"iterations": iterations, "patience": patience, "wait": wait}
    loops = options.loops_dir(root, record, make=True)
    flags = {**limits, "model": model, "effort": effort, "sandbox": sandbox}
    settings, pattern = branch_spec(loops, loop_id, at, flags, options.person(warn, flags))
    launch = _launch(root, loops, settings, count=group, at_once=jobs, all_=all_)
    finish(start(launch, replace(pattern, seed=seed), None), json_=json_)


def _launch(root: Path, loops: Path, settings: Settings, *, count: int = 1, at_once: int = 1, all_: bool = False) -> LaunchOptions:
    from codagent.runner.launch import LaunchOptions

    display, access = _display(alone=count == 1), options.access(settings.model)

    def member(prefix: str) -> ProgressLines:
        return ProgressLines(prefix=prefix)

    return LaunchOptions(root, loops, settings, access, display, member, count, at_once, all_)


def _display(*, alone: bool) -> ProgressLines:
    """Return a live display for a single loop on a terminal, else plain lines."""
    if not alone or not sys.stderr.isatty():
        return ProgressLines(live=alone)
    from codagent.cli.terminal.live import Live

    return Live()


def finish(results: Sequence[Result], *, json_: bool) -> NoReturn:
    """Print the results, those of the best loop in full, and exit with its code."""
    first = min(results, key=lambda result: exit_code(result.loop) != 0)
    code = signals.exit_code(exit_code(first.loop))
    if json_:
        others = [summary(result) for result in results]
        say(json.dumps({**summary(first), "exit_code": code, **({"group": first.loop.group, "loops": others} if len(results) > 1 else {})}))
    else:
        for result in results:
            if len(results) > 1:
                say(f"loop {result.loop.id}: {outcome_label(result.loop)} after {iterations(result.loop)} iterations")
        say("\n".join(summary_lines(first)))
    raise typer.Exit(code)


def _read_request(task: str | None, root: Path, flags: dict[str, Any]) -> tuple[tuple[Task, ...], Settings]:
    """Return the tasks, each with its checks, and the settings. Raises UsageError for a task without checks."""
    tasks, layer = _read_tasks(task)
    settings = options.read_settings(root, layer, **flags)
    tasks = tuple(replace(item, checks=item.checks or settings.checks) for item in tasks)
    if unchecked := [item.id for item in tasks if not item.checks]:
        raise UsageError(f"a loop needs a gate, and {unchecked[0]} has none; add --check CMD, a command that must succeed")
    return tasks, settings


def _read_tasks(argument: str | None) -> tuple[tuple[Task, ...], Layer | None]:
    """Return the tasks, and the settings that a task file has. None: there is no task file."""
    from codagent.settings.task_file import is_task_file, read_tasks

    if argument is not None and is_task_file(argument):
        file = read_tasks(Path(argument))
        return file.tasks, file.settings
    text = instruction_of(argument)
    if text is None:
        raise UsageError("a loop needs a task; say what to do, or name a FILE.md or FILE.toml")
    return (Task("task", text),), None
