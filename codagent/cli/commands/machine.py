"""The machine's side: doctor, models, sandbox."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from codagent.cli import options
from codagent.cli.terminal.output import say
from codagent.cli.terminal.progress import Progress
from codagent.errors import CodagentError, SandboxError, UsageError

models = typer.Typer(no_args_is_help=True, help="Models that run on this machine.")
sandbox = typer.Typer(no_args_is_help=True, help="Images that commands run in.")

Check = tuple[str, Callable[[], str]]


def doctor(model: options.Model = None) -> None:
    """Say what works here and what does not. With --model, ask that model which way of calling tools it understands."""
    well = True
    for name, look in _checks(model):
        try:
            say(f"yes  {name}: {look()}")
        except CodagentError as error:
            well = False
            say(f"no   {name}: {error}")
    raise typer.Exit(0 if well else 1)


@models.command("list")
def models_list() -> None:
    """List the models that codagent knows, and whether their weights are here."""
    from codagent.models.catalog import ENTRIES
    from codagent.models.download import installed

    for entry in ENTRIES:
        here = "here" if installed(entry, options.weights_dir()) else "not here"
        say(f"{entry.name:<22} {entry.size / 1e6:>7,.0f} MB  {here:<8}  {entry.title}, {entry.licence}")


@models.command("pull")
def models_pull(name: Annotated[str, typer.Argument(help="A name of `codagent models list`.")]) -> None:
    """Fetch a model's weights; goes on where an earlier pull was interrupted."""
    from codagent.models.catalog import ENTRIES, entry_named
    from codagent.models.download import pull, show_on

    entry = entry_named(name)
    if entry is None:
        raise UsageError(f"there is no model {name!r} to pull; there are {', '.join(entry.name for entry in ENTRIES)}")
    say(pull(entry, options.weights_dir(), progress=show_on(sys.stderr)))


@sandbox.command("build")
def sandbox_build(name: str) -> None:
    """Build a sandbox's image, and the base image below it."""
    from codagent.sandbox.image import build

    say(build(name, Progress().say))


@sandbox.command("check")
def sandbox_check(name: str) -> None:
    """Prove from inside that a sandbox holds."""
    from codagent.sandbox.check import check

    rows = check(name)
    for claim, holds in rows:
        say(f"{'yes' if holds else 'no':<4} {claim}")
    if not all(holds for _, holds in rows):
        raise SandboxError(f"sandbox {name} does not hold; do not let an agent work in it")


def _checks(model: str | None) -> Iterator[Check]:
    yield "python", lambda: sys.version.split()[0]
    yield "git", _git
    yield "docker engine", _engine
    yield "sandbox image", _image
    yield "weights", _weights
    if model:
        yield f"model {model}", lambda: _probe(model)


def _git() -> str:
    import git

    return ".".join(map(str, git.Git().version_info))


def _engine() -> str:
    from codagent.sandbox.engine import connect

    return str(connect().version()["Version"])


def _image() -> str:
    from codagent.sandbox.definition import load_definition
    from codagent.sandbox.image import ensure_image

    return ensure_image(load_definition("python"), root=None, say=lambda _: None)


def _weights() -> str:
    folder = options.weights_dir()
    files = sorted(path.name for path in folder.glob("*.gguf"))
    return (
        ", ".join(files)
        or f"none in {folder}; `codagent models pull` fetches them ({shutil.disk_usage(folder.anchor).free / 1e9:.0f} GB free)"
    )


def _probe(model: str) -> str:
    from codagent.models.open import Given, probe

    way = probe(model, Given(options.api_key(), options.weights_dir()))
    return f"calls tools the {options.probed(model, way)} way, which `codagent run` now uses with it"
