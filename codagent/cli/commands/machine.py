"""Commands about this machine: doctor, models, sandbox."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from codagent.cli import options, user_files
from codagent.cli.commands.allow import allow
from codagent.cli.terminal.output import say, warn
from codagent.cli.terminal.progress import ProgressLines
from codagent.errors import CodagentError, RepositoryError, SandboxError, UsageError
from codagent.files import expand_user
from codagent.protocols import Model
from codagent.repository.git import find_root
from codagent.settings.settings import Settings
from codagent.types import Calling

models = typer.Typer(
    no_args_is_help=True, help="List and download models that run on this machine.", epilog="Example: codagent models list"
)
sandbox = typer.Typer(
    no_args_is_help=True, help="Build and check the images that commands run in.", epilog="Example: codagent sandbox check python"
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the sandbox.")]


class _Lacking(str):
    """Says what is not there, and need not be."""

    __slots__ = ()


DoctorCheck = tuple[str, Callable[[], str]]


def doctor(model: options.Model = None) -> None:
    """Check what works on this machine.

    With --model, also find out how that model calls tools.
    """
    well = True
    for name, look in _list_checks(model):
        try:
            found = look()
            say(f"{'-' if isinstance(found, _Lacking) else 'yes':<4} {name}: {found}")
        except CodagentError as error:
            well = False
            say(f"no   {name}: {error}")
    raise typer.Exit(0 if well else 1)


@models.command("list", epilog="Example: codagent models list")
def models_list() -> None:
    """List the known models, and which are on this machine."""
    from codagent.models.weights.catalog import ENTRIES
    from codagent.models.weights.download import is_installed
    from codagent.models.weights.llama_adapter import list_adapters

    for entry in ENTRIES:
        state = "here" if is_installed(entry, user_files.weights_dir()) else "not here"
        say(f"{entry.name:<22} {entry.size / 1e6:>7,.0f} MB  {state:<8}  {entry.title}, {entry.licence}")

    for adapter in list_adapters(user_files.weights_dir()):
        trained = f", trained on {adapter.trained_on}" if adapter.trained_on else ""
        size = adapter.file.stat().st_size / 1e6
        say(f"{adapter.policy:<22} {size:>7,.0f} MB  here      adapter of {adapter.source}{trained}: {adapter.file}")


@models.command("use", epilog="Example: codagent models use my-run")
def models_use(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run of codagent-train, a checkpoint, or an adapter's .gguf file.")
    ] = None,
    repo: options.Repo = Path(),
    forget: Annotated[bool, typer.Option("--forget", help="Go back to the usual model.")] = False,
) -> None:
    """Make an adapter the default model of this repository. Your other repositories keep theirs."""
    from codagent.models.open import find_adapter

    root = find_root(repo)
    if forget or run is None:
        if not forget:
            raise UsageError("name a run of codagent-train or an adapter; --forget goes back to the usual model")
        user_files.save_choice(root, None)
        return
    path = expand_user(run).resolve()
    if not (path.suffix == ".gguf" or any(path.glob("**/*.safetensors"))):
        raise UsageError(f"there are no trained weights in {path}; give the --out of a codagent-train run, or an adapter's .gguf file")
    model = f"adapter:{path}"
    adapter = find_adapter(model)
    if isinstance(adapter, str):
        say(f"{model} is served by transformers, because {adapter}")
    else:
        adapter.find_base(user_files.weights_dir())
        say(f"{model} runs in llama.cpp over {adapter.source}")
    user_files.save_choice(root, model)


@models.command("pull", epilog="Example: codagent models pull qwen2.5-coder-1.5b")
def models_pull(name: Annotated[str, typer.Argument(metavar="NAME", help="A name that `codagent models list` prints.")]) -> None:
    """Download the weights of a model. An interrupted download is continued."""
    from codagent.models.weights.catalog import ENTRIES, find_entry
    from codagent.models.weights.download import pull, show_progress

    entry = find_entry(name)
    if entry is None:
        raise UsageError(f"there is no model {name!r} to download; the models are {', '.join(entry.name for entry in ENTRIES)}")
    with show_progress(sys.stderr) as progress:
        file = pull(entry, user_files.weights_dir(), progress=progress)
    say(file)


sandbox.command("allow", epilog="Example: codagent sandbox allow")(allow)


@sandbox.command("build", epilog="Example: codagent sandbox build python")
def sandbox_build(name: Name) -> None:
    """Build the image of a sandbox, and the base image below it."""
    from codagent.sandbox.images.image import build

    say(build(name, ProgressLines().say))


@sandbox.command("check", epilog="Example: codagent sandbox check python")
def sandbox_check(name: Name) -> None:
    """Check from inside that a sandbox isolates."""
    from codagent.sandbox.check import check

    rows = check(name)
    for claim, holds in rows:
        say(f"{'yes' if holds else 'no':<4} {claim}")
    if not all(holds for _, holds in rows):
        raise SandboxError(f"sandbox {name} is not safe; do not let an agent work in it")


def _list_checks(model: str | None) -> Iterator[DoctorCheck]:
    yield "python", lambda: sys.version.split()[0]
    yield "git", _git
    yield "docker engine", _engine
    yield "sandbox image", _image
    yield "weights", _weights
    yield "default model", _default_model
    yield "settings", _settings_files
    yield "API keys", _keys
    if model:
        yield f"model {model}", lambda: _probe(options.read_user_settings(model=model))


def _git() -> str:
    import git

    return ".".join(map(str, git.Git().version_info))


def _engine() -> str:
    from codagent.sandbox.docker.engine import describe_engine

    return describe_engine()


def _image() -> str:
    from codagent.sandbox.definition import load_definition
    from codagent.sandbox.images.image import ensure_image

    return f"python is built, {ensure_image(load_definition('python'), say=lambda _: None)[:19]}"


def _default_model() -> str:
    from codagent.models.weights.catalog import DEFAULT, find_entry
    from codagent.models.weights.download import is_installed

    _, environment, _ = options.read_user_layers()
    with suppress(RepositoryError):  # there may be no repository here
        if not environment.model and (chosen := user_files.load_choices().get(str(find_root(Path())))):
            return f"{chosen}, by `codagent models use` in this repository"
    settings = options.read_user_settings()
    if "model" in settings.asked:
        return settings.model
    default, named = find_entry(DEFAULT), f"{settings.model}, because none is named; --model or CODAGENT_MODEL names one"
    if default and not is_installed(default, user_files.weights_dir()):
        return _Lacking(f"{named}, and `codagent models pull {DEFAULT}` downloads its weights, which are missing")
    return named


def _settings_files() -> str:
    own = user_files.user_dir("XDG_CONFIG_HOME", ".config") / "config.toml"
    files = [file for file in (own, Path("codagent.toml").resolve()) if file.is_file()]
    return ", ".join(map(str, files)) or _Lacking(f"none; {own} would be yours, and `codagent init` writes one for a repository")


def _keys() -> str:
    return ", ".join(sorted(name for name in os.environ if name.endswith("_API_KEY") and os.environ[name])) or _Lacking("none is set")


def _weights() -> str:
    folder = user_files.weights_dir()
    files = sorted(path.name for path in folder.glob("*.gguf"))
    free = f"{shutil.disk_usage(folder.anchor).free / 1e9:.0f} GB free"
    return ", ".join(files) or _Lacking(f"none in {folder}; `codagent models pull` downloads them ({free})")


def _probe(settings: Settings) -> str:
    from codagent.models.probe import probe
    from codagent.runner.model import find_price, find_profile, open_model

    access = options.access(None)
    profile = find_profile(settings, access)

    def open_with(way: Calling) -> Model:
        return open_model(settings, access, replace(profile, calling=way)).model

    found = probe(settings.model, open_with, profile.sampling)
    try:
        user_files.save_calling(settings.model, found.calling)
    except UsageError as error:
        warn(f"what was found is not remembered: {error}")
    price = find_price(settings)
    return ", ".join(
        (
            f"calls tools the {found.calling} way, which `codagent run` now uses with it",
            "reasoning went back to it" if found.gives_back else "no reasoning to give back",
            f"window {found.window or profile.context_tokens:,} tokens",
            "price not known" if price is None else f"${1e6 * price.prompt_usd:g} and ${1e6 * price.completion_usd:g} for a million tokens",
            f"{found.cached_share:.0%} of the second prompt from a cache",
            f"{found.tokens_per_second:.0f} tokens a second",
        )
    )
