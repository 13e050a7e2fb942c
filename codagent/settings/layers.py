"""Layers of settings: defaults < user file < repository file < environment < task file < flags.

Reads files that it is given, and does not know where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta
from msgspec.structs import replace

from codagent.errors import UsageError
from codagent.settings.hooks import Hook
from codagent.settings.named_models import parse_models
from codagent.settings.servers import REPOSITORY_FILE, parse_servers
from codagent.settings.settings import LOCAL, Settings
from codagent.settings.toml import Amount, Count, Table, Text, Texts, parse_table, read_toml
from codagent.types import Effort, Limits

_Seconds = Annotated[float, Meta(gt=0, le=1e9, description="a number above zero and at most a billion")]  # what clocks can wait for
_Wait = Annotated[float, Meta(ge=0, le=1e9, description="a number from zero to a billion")]


class SandboxSetup(Table, frozen=True):
    """What a repository says of its sandbox. `files` are those that `setup` needs; paths are relative to the repository's root."""

    image: Text | None = None
    dockerfile: Text | None = None
    setup: Text | None = None
    files: Texts | None = None


class SandboxTable(SandboxSetup, frozen=True):
    """The table [sandbox]."""

    name: Text | None = None


class Layer(Table, frozen=True):
    """The settings that one place states. None: the layer does not state it."""

    model: Text | None = None
    checks: Texts | None = None
    protect: Texts | None = None
    allow: Texts | None = None
    iterations: Count | None = None
    patience: Count | None = None
    max_steps: Count | None = None
    max_tokens: Count | None = None
    max_seconds: _Seconds | None = None
    max_usd: Amount | None = None
    wait: _Wait | None = None
    notes_tokens: Count | None = None
    effort: Effort | None = None
    models: Annotated[dict[str, Any], Meta(description="tables, [models.NAME]")] | None = None
    hooks: tuple[Hook, ...] = ()
    mcp: Annotated[dict[str, Any], Meta(description="tables, [mcp.NAME]")] | None = None
    sandbox: SandboxTable = SandboxTable()


_LIMIT_NAMES = {field.name for field in fields(Limits)}
_LIMITS = {key: name for key in Layer.__struct_fields__ if (name := key.removeprefix("max_")) in _LIMIT_NAMES}  # key: name in Limits


def merge_layers(*layers: Layer) -> Settings:
    """Merge layers, the later over the earlier; [sandbox] is merged key by key, and the hooks of all layers are kept."""
    stated: dict[str, Any] = {}
    setup: dict[str, Any] = {}
    for layer in layers:
        hooks = (*stated.get("hooks", ()), *layer.hooks)
        stated |= layer.to_dict() | {"hooks": hooks}
        if "mcp" in stated:
            stated["servers"] = stated.pop("mcp")
        setup |= stated.pop("sandbox").to_dict()
    asked = frozenset(stated) - {"hooks", "servers"}
    limits = Limits(**{name: stated.pop(key) for key, name in _LIMITS.items() if key in stated})
    if "name" in setup:
        stated["sandbox"] = setup.pop("name")
    return Settings(**stated, sandbox_setup=setup, limits=limits, asked=asked)


def read_layer(path: Path, *, repository: bool = False) -> Layer:
    """Read a settings file; a file that does not exist states nothing. Raises UsageError for what does not fit.

    A repository's file may not be a link that leads out of the repository. It may not name the model, because a repository must not choose
    who reads it, nor the local sandbox, whose commands run on this machine.
    """
    if repository and not path.resolve().is_relative_to(path.parent.resolve()):
        raise UsageError(f"{path} is a link that leads out of the repository, and is not followed; remove it")
    try:
        layer = parse_table(read_toml(path), Layer, where=path)
    except FileNotFoundError:
        return Layer()
    if repository:
        if layer.model or layer.models or layer.effort:
            raise UsageError(f"{path}: a repository may not choose the model; use --model, CODAGENT_MODEL or your user file")
        if layer.mcp:
            raise UsageError(f"{path}: a repository names its MCP servers in {REPOSITORY_FILE}, and you name yours in your user file")
        refuse_local(layer, path)
    models, servers = parse_models(layer.models or {}, path), parse_servers(layer.mcp or {}, path)
    return replace(layer, models=models or None, mcp=servers or None)


def refuse_local(layer: Layer, path: Path) -> None:
    """Raise UsageError when a file that may be somebody else's chooses the local sandbox."""
    if layer.sandbox.name == LOCAL:
        raise UsageError(
            f"{path}: a repository may not choose the local sandbox, whose commands run on this machine; "
            "use --sandbox local, CODAGENT_SANDBOX or your user file"
        )


def lower_limits(layer: Layer, own: Settings) -> tuple[Layer, list[str]]:
    """Return a repository's layer without the limits that are above the person's `own`, and the keys that were left out."""
    highest = {key: getattr(own.limits, name) for key, name in _LIMITS.items()} | {"notes_tokens": own.notes_tokens}
    stated = layer.to_dict()
    left_out = [key for key, most in highest.items() if key in stated and most is not None and stated[key] > most]
    return replace(layer, **dict.fromkeys(left_out)), left_out


def read_environment(variables: Mapping[str, str]) -> Layer:
    """Return what CODAGENT_MODEL, CODAGENT_EFFORT, CODAGENT_SANDBOX, CODAGENT_ITERATIONS, CODAGENT_PATIENCE, CODAGENT_WAIT
    and CODAGENT_MAX_… state.

    A variable that is empty states nothing. Raises UsageError for a name that looks like one of these and is none.
    """
    known = [_name_variable(key) for key in ("model", "effort", "sandbox", *_LIMITS)]
    for variable in variables:
        if variable.startswith("CODAGENT_") and variable not in known and (near := get_close_matches(variable, known, n=1, cutoff=0.85)):
            raise UsageError(f"the environment variable {variable} means nothing; did you mean {near[0]}?")
    raw = {key: variables.get(_name_variable(key)) or None for key in ("model", "effort", "sandbox", *_LIMITS)}
    return make_layer({key: _parse_number(text) if text and key in _LIMITS else text for key, text in raw.items()}, name=_name_variable)


def make_layer(values: Mapping[str, Any], *, name: Callable[[str], str]) -> Layer:
    """Make a layer of values by their keys, `sandbox` being the sandbox's name. None: not stated. `name` names a key in messages."""
    stated = {key: value for key, value in values.items() if value is not None}
    if "sandbox" in stated:
        stated["sandbox"] = {"name": stated["sandbox"]}
    return parse_table(stated, Layer, name=lambda path: name(str(path[0])))


def _name_variable(key: str) -> str:
    return f"CODAGENT_{key.upper()}"


def _parse_number(text: str) -> float | str:
    """Return the number that a text spells; the text when it spells none, for the message."""
    for parse in (int, float):
        with suppress(ValueError):
            return parse(text)
    return text
