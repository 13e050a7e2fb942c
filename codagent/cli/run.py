"""`codagent run`: one task, or without a task on a terminal a session of them."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from codagent import git
from codagent.cli import options
from codagent.cli.outcome import exit_code, lines, summary
from codagent.cli.work import Desk, Ready
from codagent.errors import UsageError
from codagent.truncate import harmless
from codagent.ui.progress import Progress

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
    seed: Annotated[int | None, typer.Option(help="Seed of the sampling, where the model takes one.")] = None,
    json_: options.Json = False,
) -> None:
    """Work on a task in a git repository, from inside a sandbox; the result is a commit on a branch of its own."""
    instruction = _instruction(task)
    root = git.find_root(repo)
    limits = {"max_steps": max_steps, "max_tokens": max_tokens, "max_seconds": max_seconds, "max_usd": max_usd}
    settings = options.settings(root, model=model, sandbox=sandbox, checks=check, protect=protect, **limits)
    progress = Progress()
    if "model" not in settings.asked:
        progress.say(f"no model was named: using {settings.model}, which runs on this machine (--model or CODAGENT_MODEL chooses another)")
    with closing(Desk(root, settings, loops=record, progress=progress, open_model=lambda desk: _open(desk, seed))) as desk:
        if instruction is None:
            _session(desk)
            return
        result = desk.do(instruction)
    if json_:
        print(json.dumps(summary(result)))
    else:
        print("\n".join(harmless(line) for line in lines(result)))
    raise typer.Exit(exit_code(result.episode))


def _instruction(task: str | None) -> str | None:
    if task is None and sys.stdin.isatty():
        return None
    text = sys.stdin.read() if task in (None, "-") else task
    if not text or not text.strip():
        raise UsageError("the task is empty; say what to do, as in `codagent run 'mend the failing test'`")
    return text.strip()


def _session(desk: Desk) -> None:
    from codagent.ui.session import session

    def do(instruction: str) -> tuple[list[str], tuple[str, str] | None]:
        result = desk.do(instruction)
        return lines(result), result.change

    session(desk.root, do, history=options.user_dir("XDG_STATE_HOME", ".local/state") / "history", color=options.colour())


def _open(desk: Desk, seed: int | None) -> Ready:
    from codagent.models.opening import open_model, price_for, profile_for

    spec = desk.settings.model
    profile = profile_for(spec)
    profile = replace(profile, calling=options.probed(spec) or profile.calling, sampling=replace(profile.sampling, seed=seed))
    model = open_model(spec, on_text=desk.wrote, profile=profile, weights=options.weights_dir(), api_key=options.api_key())
    return Ready(model, profile, price_for(spec))
