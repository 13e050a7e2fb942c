"""`codagent loop`: the same task again and again, each time with a fresh context, until gates that the agent cannot reach pass."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from codagent.cli import options
from codagent.cli.commands.arguments import instruction_of
from codagent.cli.terminal.output import say, warn
from codagent.cli.terminal.progress import Progress
from codagent.errors import UsageError
from codagent.repository import git
from codagent.runner.model import worst_case
from codagent.runner.result import exit_code, iterations, lines, summary, word
from codagent.runner.spec import Job, Result
from codagent.settings.settings import Settings
from codagent.store import layout as state
from codagent.types import Task

if TYPE_CHECKING:
    from codagent.runner.launch import Launch
    from codagent.settings.layers import Layer

TaskText = Annotated[
    str | None,
    typer.Argument(
        metavar="[TASK|FILE]", help="What to do, a FILE.md that says it, or a FILE.toml of tasks; `-`: standard input.", show_default=False
    ),
]
Rewrite = Annotated[Literal["always", "between", "never"], typer.Option("--rewrite", help="When the notes are written anew.")]
Group = Annotated[
    int, typer.Option("--group", min=1, metavar="N", help="So many loops from the same start; the first that passes ends the others.")
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, metavar="N", help="How many of them at a time.")]
All = Annotated[bool, typer.Option("--all", help="Every loop of the group runs to its end.")]


def loop(
    task: TaskText = None,
    *,
    resume: Annotated[str | None, typer.Option("--resume", metavar="ID", help="Go on with a loop where it was broken off.")] = None,
    repo: options.Repo = Path(),
    model: options.Model = None,
    sandbox: options.Sandbox = None,
    check: options.Check = None,
    protect: options.Protect = None,
    iterations: options.Iterations = None,
    patience: options.Patience = None,
    max_steps: options.MaxSteps = None,
    max_tokens: options.MaxTokens = None,
    max_seconds: options.MaxSeconds = None,
    max_usd: options.MaxUsd = None,
    notes: Annotated[Path | None, typer.Option("--notes", metavar="FILE", help="The notes.", show_default=".codagent/notes.md")] = None,
    rewrite: Rewrite = "always",
    from_: Annotated[Literal["best", "last", "start"], typer.Option("--from", help="Which tree an attempt starts from.")] = "best",
    group: Group = 1,
    jobs: Jobs = 2,
    all_: All = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print limits and the worst-case bill, and do nothing.")] = False,
    seed: options.Seed = None,
    record: options.RecordDir = None,
    json_: options.Json = False,
) -> None:
    """Work on a task again and again, each time afresh, until its checks pass on the host. Only files and notes are carried on."""
    from codagent.runner.launch import go_on, start

    loops = options.loops_dir(root := git.find_root(repo), record, make=True)
    limits = options.limits(max_steps, max_tokens, max_seconds, max_usd) | {"iterations": iterations, "patience": patience}
    if resume:
        flags = {**limits, "model": model, "sandbox": sandbox, "notes": notes.resolve() if notes else None}
        person = options.person(warn, flags)
        finish([go_on(_launch(root, loops, person.settings), resume, flags, person)], json_=json_)
    tasks, settings = _asked(task, root, {"model": model, "sandbox": sandbox, "checks": check, "protect": protect, **limits})
    if dry_run:
        say("\n".join(worst_case(settings)))
        return
    pattern = Job("", "", tasks, iterate=True, rewrite=rewrite, start=from_, seed=seed)
    launch = _launch(root, loops, settings, count=group, at_once=jobs, all_=all_)
    finish(start(launch, pattern, notes.resolve() if notes else state.notes_file(loops)), json_=json_)


def branch(
    loop_id: options.LoopId = None,
    *,
    at: Annotated[int, typer.Option("--at", min=1, metavar="K", help="The iteration whose files and notes it starts from.")],
    repo: options.Repo = Path(),
    model: options.Model = None,
    sandbox: options.Sandbox = None,
    iterations: options.Iterations = None,
    patience: options.Patience = None,
    max_steps: options.MaxSteps = None,
    max_tokens: options.MaxTokens = None,
    max_seconds: options.MaxSeconds = None,
    max_usd: options.MaxUsd = None,
    group: Group = 1,
    jobs: Jobs = 2,
    all_: All = False,
    seed: options.Seed = None,
    record: options.RecordDir = None,
    json_: options.Json = False,
) -> None:
    """Start loops from where another loop stood after iteration K, with its notes and its gates."""
    from codagent.runner.launch import branched, start

    root = git.find_root(repo)
    limits = options.limits(max_steps, max_tokens, max_seconds, max_usd) | {"iterations": iterations, "patience": patience}
    loops = options.loops_dir(root, record, make=True)
    flags = {**limits, "model": model, "sandbox": sandbox}
    settings, pattern = branched(loops, loop_id, at, flags, options.person(warn, flags))
    launch = _launch(root, loops, settings, count=group, at_once=jobs, all_=all_)
    finish(start(launch, replace(pattern, seed=seed), None), json_=json_)


def _launch(root: Path, loops: Path, settings: Settings, *, count: int = 1, at_once: int = 1, all_: bool = False) -> Launch:
    from codagent.runner.launch import Launch

    display, access = _display(alone=count == 1), options.access(settings.model)

    def member(prefix: str) -> Progress:
        return Progress(prefix=prefix)

    return Launch(root, loops, settings, access, display, member, count, at_once, all_)


def _display(*, alone: bool) -> Progress:
    """A live one for a loop alone on a terminal, else plain lines."""
    if not alone or not sys.stderr.isatty():
        return Progress(live=alone)
    from codagent.cli.terminal.live import Live

    return Live()


def finish(results: Sequence[Result], *, json_: bool) -> NoReturn:
    """Tell of the best of the loops, and end with its exit code."""
    first = min(results, key=lambda result: exit_code(result.loop) != 0)
    if json_:
        others = [summary(result) for result in results]
        say(json.dumps({**summary(first), **({"group": first.loop.group, "loops": others} if len(results) > 1 else {})}))
    else:
        for result in results:
            if len(results) > 1:
                say(f"loop {result.loop.id}: {word(result.loop)} after {iterations(result.loop)} iterations")
        say("\n".join(lines(first)))
    raise typer.Exit(exit_code(first.loop))


def _asked(task: str | None, root: Path, flags: dict[str, Any]) -> tuple[tuple[Task, ...], Settings]:
    """The tasks, each with what decides that it is done, and all settings. UsageError for one that nothing decides."""
    tasks, layer = _tasks(task)
    settings = options.settings(root, layer, **flags)
    tasks = tuple(replace(one, checks=one.checks or settings.checks) for one in tasks)
    if unchecked := [one.id for one in tasks if not one.checks]:
        raise UsageError(f"a loop needs a gate, and {unchecked[0]} has none; say with --check CMD what decides that it is done")
    return tasks, settings


def _tasks(given: str | None) -> tuple[tuple[Task, ...], Layer | None]:
    """The tasks, and the settings that came with them."""
    from codagent.settings.task_file import is_task_file, read_tasks

    if given is not None and is_task_file(given):
        file = read_tasks(Path(given))
        return file.tasks, file.settings
    text = instruction_of(given)
    if text is None:
        raise UsageError("a loop needs a task; say what to do, or name a FILE.md or FILE.toml")
    return (Task("task", text),), None
