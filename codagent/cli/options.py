"""The flags that several commands share, and what they and the other layers of settings result in."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codagent.cli.numbers import at_least
from codagent.cli.terminal.output import warn
from codagent.cli.user_files import load_calling, load_choices, secret, user_dir, weights_dir
from codagent.repository import git
from codagent.runner.model import Access
from codagent.runner.spec import Person
from codagent.settings.settings import Settings
from codagent.store import layout
from codagent.types import Effort, Limits

if TYPE_CHECKING:
    from codagent.settings.layers import Layer


Repo = Annotated[Path, typer.Option("--repo", metavar="DIR", help="The repository, or a folder in it.", show_default="here")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="NAME", help="The model: embedded[:NAME], gguf:FILE, adapter:RUN, http://HOST:PORT/v1#NAME, or a litellm name."
    ),
]
EffortOption = Annotated[
    Effort | None, typer.Option("--effort", help="How much the model thinks before it answers, if it can.", show_default="the server's own")
]
Sandbox = Annotated[str | None, typer.Option("--sandbox", metavar="NAME", help="Name of the sandbox; `local` has no isolation.")]
Check = Annotated[
    list[str] | None,
    typer.Option("--check", metavar="CMD", help="A command that must exit with 0. Repeatable. Example: --check 'pytest -q'"),
]
Protect = Annotated[
    list[str] | None, typer.Option("--protect", metavar="GLOB", help="Files that the checks see as they were at the start. Repeatable.")
]
Allow = Annotated[
    list[str] | None, typer.Option("--allow", metavar="GLOB", help="Files whose suspicious changes do not prevent a pass. Repeatable.")
]
MaxSteps = Annotated[
    int | None, typer.Option("--max-steps", parser=at_least(1), metavar="N", help="Limit of model replies in an attempt.  [default: 50]")
]
MaxTokens = Annotated[
    int | None,
    typer.Option("--max-tokens", parser=at_least(1), metavar="N", help="Limit of tokens, sent and received.  [default: 1,000,000]"),
]
MaxSeconds = Annotated[
    float | None, typer.Option("--max-seconds", parser=at_least(1, float), metavar="S", help="Limit of seconds.  [default: 1,800]")
]
MaxUsd = Annotated[
    float | None,
    typer.Option(
        "--max-usd", parser=at_least(0.0001, float), metavar="USD", help="Limit of US dollars, if the price is known.  [default: 5]"
    ),
]
Wait = Annotated[
    float | None,
    typer.Option(
        "--wait",
        parser=at_least(0, float),
        metavar="S",
        help="Seconds to ask a failing model again.  [default: 1,800 in a loop, else 120]",
    ),
]
Iterations = Annotated[
    int | None, typer.Option("--iterations", parser=at_least(1), metavar="N", help="Limit of attempts at each task.  [default: 10]")
]
Patience = Annotated[
    int | None,
    typer.Option(
        "--patience", parser=at_least(1), metavar="N", help="Stop after so many attempts in a row without progress.  [default: 5]"
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", help="Seed of the sampling, if the model accepts one.")]
RecordDir = Annotated[Path | None, typer.Option("--record", metavar="DIR", help="Folder of the records.", show_default=".codagent/loops")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
StreamJson = Annotated[bool, typer.Option("--stream-json", help="Print what happens as JSON, one object a line; the last has the result.")]
RecordId = Annotated[
    str | None,
    typer.Argument(metavar="[ID]", help="Id of a session, run or loop, or the start or end of the id.", show_default="the latest"),
]
LoopId = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="Id of a loop or run, or the start or end of the id.", show_default="the latest")
]

# the options whose values are settings, by the names of the settings' keys
_SETTINGS = {
    "model": Model,
    "effort": EffortOption,
    "sandbox": Sandbox,
    "checks": Check,
    "protect": Protect,
    "allow": Allow,
    "iterations": Iterations,
    "patience": Patience,
    "max_steps": MaxSteps,
    "max_tokens": MaxTokens,
    "max_seconds": MaxSeconds,
    "max_usd": MaxUsd,
    "wait": Wait,
}
_MODEL, _GATE, _LOOP = ("model", "effort", "sandbox"), ("checks", "protect", "allow"), ("iterations", "patience")
_LIMITS = ("max_steps", "max_tokens", "max_seconds", "max_usd", "wait")
OF_RUN, OF_LOOP, OF_BRANCH = (*_MODEL, *_GATE, *_LIMITS), (*_MODEL, *_GATE, *_LOOP, *_LIMITS), (*_MODEL, *_LOOP, *_LIMITS)
OF_EDITOR, OF_BENCH = (*_MODEL, "checks", *_LIMITS), (*_MODEL, "checks", *_LOOP, *_LIMITS)

Flags = dict[str, Any]  # settings by their keys; None: not given


def takes_settings(*keys: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of these settings, in the place of its parameter `flags`, which gets their values."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def call(**given: Any) -> None:
            command(flags={key: given.pop(key) for key in keys}, **given)

        added = [Parameter(key, Parameter.KEYWORD_ONLY, default=None, annotation=_SETTINGS[key]) for key in keys]
        own = signature(command, eval_str=True).parameters.values()
        parameters = [each for one in own for each in (added if one.name == "flags" else [one])]
        call.__signature__ = Signature(parameters)  # type: ignore[attr-defined] # typer reads it, and the annotations
        call.__annotations__ = {each.name: each.annotation for each in parameters}
        return call

    return decorate


def read_settings(root: Path, task_file: Layer | None = None, *, wait_s: float | None = None, **flags: Any) -> Settings:
    """Merge all layers of settings. `flags` are named like the keys of the settings; `sandbox` is a name, and None means not given.
    `wait_s` is the command's default for `wait`; None: that of a loop.

    A repository may lower a person's limits, but not raise them: a limit that it raises is ignored, with a warning.
    """
    from msgspec.structs import replace

    from codagent.settings.layers import Layer, merge_layers

    defaults, user, repository, environment, chosen = _read_layers(root, wait_s, flags, warn)
    if repository.hooks:
        from codagent.cli.commands.allow import allow_hooks

        repository = replace(repository, hooks=allow_hooks(root, repository.hooks))
    return merge_layers(defaults, user, repository, environment, task_file or Layer(), chosen)


def read_limits(root: Path, flags: Flags, *, wait_s: float) -> Limits:
    """Return the limits as `read_settings` does, read anew. Nothing is said, and nobody is asked."""
    from codagent.settings.layers import merge_layers

    return merge_layers(*_read_layers(root, wait_s, flags, lambda _: None)).limits


def _read_layers(root: Path, wait_s: float | None, flags: Flags, say: Callable[[str], None]) -> tuple[Layer, Layer, Layer, Layer, Layer]:
    """Read the layers: defaults, the user file, the repository's file without the limits that it raises, environment, flags."""
    from msgspec.structs import replace

    from codagent.settings.layers import Layer, lower_limits, merge_layers, read_layer

    user, environment, chosen = read_user_layers(**flags)
    user = replace(user, model=load_choices().get(str(root), user.model))
    path, defaults = root / "codagent.toml", Layer(wait=wait_s)
    repository, left_out = lower_limits(read_layer(path, repository=True), merge_layers(defaults, user))
    if left_out:
        say(f"{path} may lower your limits, not raise them; ignored: {', '.join(left_out)}")
    return defaults, user, repository, environment, chosen


def read_user_layers(**flags: Any) -> tuple[Layer, Layer, Layer]:
    """Return the person's own layers, without the repository's: the user file, the environment, the flags."""
    from codagent.settings.layers import make_layer, read_environment, read_layer

    stated = {key: value for key, value in flags.items() if key != "notes" and value != []}
    return (
        read_layer(user_dir("XDG_CONFIG_HOME", ".config") / "config.toml"),
        read_environment(os.environ),
        make_layer(stated, name=lambda key: "--check" if key == "checks" else f"--{key.replace('_', '-')}"),
    )


def read_user_settings(**flags: Any) -> Settings:
    """Merge the person's own layers. Nothing else may decide how a record is acted on."""
    from codagent.settings.layers import merge_layers

    return merge_layers(*read_user_layers(**flags))


def person(say: Callable[[str], None], flags: Mapping[str, Any]) -> Person:
    """Describe the person who runs the command, for functions that act on a record."""
    return Person(read_user_settings(**flags), secret(), say, flags.get("model"))


def loops_dir(root: Path, record: Path | None, *, make: bool = False) -> Path:
    """Return the folder of a repository's loops, in the folder `record`; None means `.codagent`. `make` makes the folder.

    If git tracks `.codagent`, its content comes from the author of the repository. Then a folder inside git's own folder is used.
    """
    home = layout.home_dir(root, record)
    if record is None and git.is_tracked(root, home.name):
        warn(
            f"git tracks {home.name} here: its notes, verdicts and records are not used, and yours are kept in git's "
            f"folder; `git rm -r --cached {home.name}` makes them yours"
        )
        home = git.private_dir(root)
    return layout.make_loops_dir(home) if make else layout.loops_dir(home)


def api_key() -> str | None:
    """Return the key for an OpenAI-compatible endpoint. None means that there is none."""
    return os.environ.get("CODAGENT_API_KEY")


def access(spec: str | None) -> Access:
    """Return what opening the model `spec` needs. None means a model whose way of calling tools is in a record."""
    from codagent.cli.commands.allow import allowed_setups, ask_about_calls, ask_about_changes

    calling, asks = load_calling(spec) if spec else None, (ask_about_changes(), ask_about_calls())
    return Access(api_key(), weights_dir(), calling, secret(), allowed_setups(), *asks)


def colour() -> bool:
    """Whether the person wants colour on a terminal (https://no-color.org)."""
    return not os.environ.get("NO_COLOR")
