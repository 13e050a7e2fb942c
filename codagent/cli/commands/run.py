"""`codagent run`: one task, or without a task on a terminal a session of them."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from codagent.cli import options
from codagent.cli.commands.arguments import instruction_of
from codagent.cli.terminal.output import say
from codagent.cli.terminal.progress import Progress
from codagent.repository import git
from codagent.runner.model import opener, say_which_model
from codagent.runner.result import change, exit_code, lines, summary
from codagent.runner.runner import Desk
from codagent.runner.spec import Job
from codagent.store import layout
from codagent.types import Task

TaskText = Annotated[
    str | None, typer.Argument(metavar="[TASK]", help="What to do; `-`: from standard input; none: a session.", show_default=False)
]


def run(
    task: TaskText = None,
    *,
    repo: options.Repo = Path(),
    model: options.Model = None,
    sandbox: options.Sandbox = None,
    check: options.Check = None,
    protect: options.Protect = None,
    max_steps: options.MaxSteps = None,
    max_tokens: options.MaxTokens = None,
    max_seconds: options.MaxSeconds = None,
    max_usd: options.MaxUsd = None,
    record: options.RecordDir = None,
    seed: options.Seed = None,
    json_: options.Json = False,
) -> None:
    """Work on a task in a git repository, from inside a sandbox; the result is a commit on a branch of its own."""
    instruction = instruction_of(task)
    root = git.find_root(repo)
    limits = options.limits(max_steps, max_tokens, max_seconds, max_usd)
    settings = options.settings(root, model=model, sandbox=sandbox, checks=check, protect=protect, **limits)
    loops, progress = options.loops_dir(root, record, make=True), Progress()
    say_which_model(settings, progress)
    access = options.access(settings.model)
    with closing(Desk(root, settings, loops=loops, progress=progress, open_model=opener(access), secret=access.secret)) as desk:
        if instruction is None:
            _session(desk, seed)
            return
        result = desk.do(_job(desk, instruction, seed))
    if json_:
        say(json.dumps(summary(result)))
    else:
        say("\n".join(lines(result)))
    raise typer.Exit(exit_code(result.loop))


def _job(desk: Desk, instruction: str, seed: int | None) -> Job:
    loop_id = layout.create_loop(desk.loops)
    return Job(loop_id, loop_id, (Task(loop_id, instruction, desk.settings.checks),), seed=seed)


def _session(desk: Desk, seed: int | None) -> None:
    from codagent.cli.terminal.session import session

    def do(instruction: str) -> tuple[list[str], tuple[str, str] | None]:
        result = desk.do(_job(desk, instruction, seed))
        return lines(result), change(result.loop)

    session(desk.root, do, history=options.user_dir("XDG_STATE_HOME", ".local/state") / "history", color=options.colour())
