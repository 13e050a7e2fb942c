"""The flags that commands share, and what they and the settings' other layers come to."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codagent.cli.terminal.output import warn
from codagent.errors import UsageError
from codagent.repository import git
from codagent.runner.model import Access
from codagent.runner.spec import Person
from codagent.settings.settings import Settings
from codagent.store import layout as state
from codagent.types import Calling

if TYPE_CHECKING:
    from codagent.settings.layers import Layer

Repo = Annotated[Path, typer.Option("--repo", help="The repository, or any folder in it.", show_default="here")]
Model = Annotated[
    str | None, typer.Option("--model", help="embedded[:NAME], gguf:FILE, adapter:RUN, http://HOST:PORT/v1#NAME, or a litellm name.")
]
Sandbox = Annotated[str | None, typer.Option("--sandbox", help="A sandbox by name, or `local`: no isolation at all.")]
Check = Annotated[list[str] | None, typer.Option("--check", metavar="CMD", help="Decides whether the work is accepted; again and again.")]
Protect = Annotated[
    list[str] | None, typer.Option("--protect", metavar="GLOB", help="Files that the checks see as they stood at the start.")
]
MaxSteps = Annotated[int | None, typer.Option("--max-steps", min=1, help="Model replies.  [default: 50]")]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", min=1, help="Tokens sent and received.  [default: 1,000,000]")]
MaxSeconds = Annotated[float | None, typer.Option("--max-seconds", min=1, help="Seconds in all.  [default: 1,800]")]
MaxUsd = Annotated[float | None, typer.Option("--max-usd", min=0.0001, help="US dollars, where a price is known.  [default: 5]")]
Iterations = Annotated[int | None, typer.Option("--iterations", min=1, help="Attempts at each task.  [default: 10]")]
Patience = Annotated[int | None, typer.Option("--patience", min=1, help="Attempts in a row without progress.  [default: 5]")]
Seed = Annotated[int | None, typer.Option(help="Seed of the sampling, where the model takes one.")]
RecordDir = Annotated[Path | None, typer.Option("--record", help="Where records lie.", show_default=".codagent/loops")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
LoopId = Annotated[str | None, typer.Argument(metavar="[ID]", help="A loop, by the start or end of its id.", show_default="the latest")]


def user_dir(variable: str, default: str) -> Path:
    """codagent's folder below an XDG directory."""
    return Path(os.environ.get(variable) or Path.home() / default) / "codagent"


def weights_dir() -> Path:
    """Where model weights lie."""
    return user_dir("XDG_CACHE_HOME", ".cache") / "models"


def settings(root: Path, task_file: Layer | None = None, **flags: Any) -> Settings:
    """Merge all layers; `flags` are named like the settings' keys, `sandbox` being a name.

    A repository may lower the limits of the person, but not raise them; a limit that it raises is left out, and said on stderr.
    """
    from codagent.settings.layers import Layer, lower_limits, merge_layers, read_layer

    user, environment, chosen = user_layers(**flags)
    path = root / "codagent.toml"
    repository, left_out = lower_limits(read_layer(path, repository=True), merge_layers(user))
    if left_out:
        warn(f"{path} may lower your limits, not raise them; left out: {', '.join(left_out)}")
    return merge_layers(user, repository, environment, task_file or Layer(), chosen)


def user_layers(**flags: Any) -> tuple[Layer, Layer, Layer]:
    """Return what the person states, and no repository: the user file, the environment, the flags."""
    from codagent.settings.layers import make_layer, read_environment, read_layer

    stated = {key: value for key, value in flags.items() if key != "notes" and value != []}
    return (
        read_layer(user_dir("XDG_CONFIG_HOME", ".config") / "config.toml"),
        read_environment(os.environ),
        make_layer(stated, name=lambda key: "--check" if key == "checks" else f"--{key.replace('_', '-')}"),
    )


def user_settings(**flags: Any) -> Settings:
    """Return the person's own settings, which is all that a record may be acted on with."""
    from codagent.settings.layers import merge_layers

    return merge_layers(*user_layers(**flags))


def person(say: Callable[[str], None], flags: Mapping[str, Any]) -> Person:
    """Who runs the command, as one who acts on a record."""
    return Person(user_settings(**flags), secret(), say, flags.get("model"))


def loops_dir(root: Path, record: Path | None, *, make: bool = False) -> Path:
    """The folder of a repository's loops, in the home folder `record`, else `.codagent`.

    Where git tracks `.codagent`, what lies there was made by whoever made the repository: then the home is in git's own folder.
    """
    home = state.home_dir(root, record)
    if record is None and git.is_tracked(root, home.name):
        warn(
            f"git tracks {home.name} here: its notes, verdicts and records are not used, and yours are kept in git's "
            f"folder; `git rm -r --cached {home.name}` makes them yours"
        )
        home = git.private_dir(root)
    return state.make_loops_dir(home) if make else state.loops_dir(home)


def secret() -> bytes:
    """A secret of this user on this machine, by which records that were made here are known. Made when it is missing."""
    file = user_dir("XDG_STATE_HOME", ".local/state") / "secret"
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not file.exists():
            descriptor, beside = tempfile.mkstemp(dir=file.parent)
            with os.fdopen(descriptor, "wb") as made:
                made.write(secrets.token_bytes(32))
            with suppress(FileExistsError):
                file.hardlink_to(beside)
            Path(beside).unlink()
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be used ({(error.strerror or '').lower()}); set XDG_STATE_HOME to a folder of yours") from None


def limits(steps: int | None, tokens: int | None, seconds: float | None, usd: float | None) -> dict[str, Any]:
    """Flags by the names of the settings' keys."""
    return {"max_steps": steps, "max_tokens": tokens, "max_seconds": seconds, "max_usd": usd}


def probed(spec: str, found: Calling | None = None) -> Calling | None:
    """The way of calling tools that `doctor` found to work with a model; `found` is kept for the next time."""
    file = user_dir("XDG_CACHE_HOME", ".cache") / "calling.json"
    known: dict[str, Calling] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if found:
        known[spec] = found
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(known, indent=1), encoding="utf-8")
    return known.get(spec)


def api_key() -> str | None:
    """The key for an endpoint that is spoken to directly."""
    return os.environ.get("CODAGENT_API_KEY")


def access(spec: str | None) -> Access:
    """What there is to open the model called `spec` with; None: a model whose way of calling tools a record tells."""
    return Access(api_key(), weights_dir(), probed(spec) if spec else None, secret())


def colour() -> bool:
    """Whether the person wants colour on a terminal (https://no-color.org)."""
    return not os.environ.get("NO_COLOR")
