"""`codagent-train tasks` and `repair`: make tasks out of repositories, and record how they are repaired."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from codagent.cli.numbers import at_least
from codagent.protocols import GateSandbox
from codagent_train.cli.options import Check, GoOn, Out
from codagent_train.cli.say import say

_HOUSES = "conventions"  # in place of repositories: packs of tasks that share the rules of a house


def tasks(
    repositories: Annotated[
        list[str],
        typer.Argument(
            metavar="REPO...",
            help="Folders of Python repositories whose tests pass; or `conventions`, for packs of that domain.",
            show_default=False,
        ),
    ],
    out: Out,
    *,
    count: Annotated[
        int, typer.Option(parser=at_least(1), metavar="N", help="Tasks of each repository, at most; or packs of the domain.")
    ] = 20,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the choice of bugs.")] = 0,
    split: Annotated[
        Literal["auto", "repository", "module"],
        typer.Option(
            help="What the held-out tasks have of their own: their repositories or their modules.", show_default="by what there is"
        ),
    ] = "auto",
    check: Check = "",
    sandbox: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the sandbox; `local` has no isolation.")] = None,
    jobs: Annotated[int, typer.Option(parser=at_least(1), metavar="N", help="Sandboxes side by side.")] = 2,
    resume: GoOn = False,
) -> None:
    """Make tasks for `codagent loop` out of repositories.

    One bug at a time is put into a repository. It makes a task when a few tests fail by it, no other test changes, and
    nothing hangs. Prints the folders of the tasks.
    """
    from codagent_train.tasks.generate import TaskRequest, Workshop, make_tasks
    from codagent_train.tasks.task_files import PARTS, list_task_files

    if repositories == [_HOUSES] and not Path(_HOUSES).exists():
        from codagent_train.tasks.house_tasks import make_house_tasks

        print(f"{out / 'packs'}: {len(make_house_tasks(out, count, seed=seed))} packs of four tasks")
        return
    request = TaskRequest(tuple(str(Path(path).resolve()) for path in repositories), count, seed, split, check)
    make_tasks(request, out, Workshop(sandbox_opener(sandbox, say), jobs, say), resume=resume)
    for part in PARTS:
        print(f"{out / part}: {len(list_task_files(out, part))} tasks")


def repair(
    made: Annotated[Path, typer.Argument(metavar="TASKS", help="Folder that `codagent-train tasks` made.", show_default=False)],
    *,
    record: Annotated[Path, typer.Option("--record", metavar="DIR", help="Folder of the records.")],
    model: Annotated[
        str, typer.Option(metavar="NAME", help="The model that is to learn from it: the prompts are those that it gets.")
    ] = "embedded:qwen2.5-coder-0.5b",
    sandbox: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the sandbox; `local` has no isolation.")] = None,
    jobs: Annotated[int, typer.Option(parser=at_least(1), metavar="N", help="Loops side by side.")] = 2,
    answers: Annotated[
        Literal["functions", "lines"], typer.Option(help="Answer in whole functions, or in the lines that change, after their numbers.")
    ] = "functions",
) -> None:
    """Record repairs of the tasks for training, for `imitate`.

    No model is asked: the answer is the code as it was before the bug. A task that is on record is not done again.
    """
    from codagent.repository.setups import AllowedSetups, allowed_file
    from codagent.runner.model import Access
    from codagent_train.data.supervised.repairs import RepairRequest, record_repairs

    access = Access(allow=AllowedSetups(allowed_file(os.environ)))
    passed, tasks = record_repairs(RepairRequest(made, record, model, sandbox, jobs, answers), access, say)
    print(f"{record}: {passed} of {tasks} tasks repaired")


def sandbox_opener(name: str | None, tell: Callable[[str], None]) -> Callable[[Path], GateSandbox]:
    """Return a function that opens a sandbox for a repository, as the repository sets it up. `name` None: the usual sandbox."""
    from codagent.repository.setups import AllowedSetups, allowed_file
    from codagent.runner.workspace import open_sandbox

    return partial(open_sandbox, name=name, say=tell, allow=AllowedSetups(allowed_file(os.environ)))
