"""`codagent-train improve`: from a repository to an adapter, with one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from codagent.cli.numbers import at_least
from codagent_train.cli.options import Check, GoOn, Out
from codagent_train.cli.say import say


def improve(
    repositories: Annotated[
        list[str], typer.Argument(metavar="REPO...", help="Folders of Python repositories whose tests pass.", show_default=False)
    ],
    out: Out,
    *,
    model: Annotated[str, typer.Option(metavar="NAME", help="The model to improve, embedded:NAME.")] = "embedded:qwen2.5-coder-0.5b",
    hours: Annotated[float, typer.Option(parser=at_least(0.01, float), metavar="H", help="Hours that loops and training may take.")] = 3.0,
    count: Annotated[int, typer.Option(parser=at_least(1), metavar="N", help="Tasks of each repository, at most.")] = 60,
    group: Annotated[int, typer.Option(parser=at_least(2), metavar="N", help="Loops at each task for training.")] = 4,
    iterations: Annotated[int, typer.Option(parser=at_least(1), metavar="N", help="Attempts at each held-out task.")] = 4,
    steps: Annotated[int, typer.Option(parser=at_least(1), metavar="N", help="Steps of each training, at most.")] = 60,
    check: Check = "",
    sandbox: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the sandbox; `local` has no isolation.", show_default="python")
    ] = "",
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="cuda: loops and training run on a GPU, and all layers learn.")] = "cpu",
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of everything that is drawn.")] = 0,
    resume: GoOn = False,
) -> None:
    """Improve a local model on tasks out of your repositories.

    Makes tasks, records loops, trains an adapter, compares it with the model on held-out tasks, and writes a page. REPO is only read.
    """
    from codagent_train.improve.page import PAGE, write_page
    from codagent_train.improve.phases import Improvement, Improver

    _check_request(model, repositories, device)
    folders = tuple(str(Path(path).resolve()) for path in repositories)
    wanted = Improvement(folders, model, hours, count, group, iterations, steps, sandbox, seed, check, device)
    Improver(wanted, out, say).run(resume=resume)
    say(write_page(wanted, out))
    print(out / PAGE)


def _check_request(model: str, repositories: list[str], device: str) -> None:
    """Raise UsageError for a model that is not in the catalogue, a repository that is no folder, and a device that is not there."""
    from codagent.errors import UsageError
    from codagent.models.weights.catalog import find_entry
    from codagent_train.files import require_folder

    kind, _, name = model.partition(":")
    if kind != "embedded" or find_entry(name) is None:
        raise UsageError(f"{model} cannot be improved here; give embedded:NAME, with a name of `codagent models list`")
    for path in repositories:
        require_folder(Path(path))
    if device == "cuda":
        from codagent_train.training.hardware import free_memory

        free_memory(device)  # says so when there is no GPU
