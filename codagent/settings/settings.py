"""Settings: defaults < user file < repository file < task file < environment < flags. Reads files that it is given; knows nothing of where
they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent.settings.toml import AMOUNT, COUNT, TEXT, TEXTS, Keys, Kind, Source, Values, check, load
from codagent.types import Limits

LOCAL = "local"  # the sandbox that does not isolate
LIMITS: Mapping[str, Kind] = {
    "iterations": COUNT,
    "patience": COUNT,
    "max_steps": COUNT,
    "max_tokens": COUNT,
    "max_seconds": AMOUNT,
    "max_usd": AMOUNT,
}
SANDBOX: Keys = {"name": TEXT, "image": TEXT, "dockerfile": TEXT, "setup": TEXT, "files": TEXTS}
KEYS: Keys = {"model": TEXT, "checks": TEXTS, "protect": TEXTS, **LIMITS, "notes_tokens": COUNT, "sandbox": SANDBOX}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is to do it with. `asked` names the keys that some layer set, the others are defaults."""

    model: str = "embedded"
    checks: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()
    sandbox: str = "python"
    sandbox_setup: Values = field(default_factory=dict)
    limits: Limits = Limits()
    notes_tokens: int = 800
    asked: frozenset[str] = frozenset()


def settings(*layers: Values) -> Settings:
    """Merge layers, the later over the earlier; None in a layer means that it says nothing."""
    merged: dict[str, Any] = {}
    setup: dict[str, Any] = {}
    for layer in layers:
        given = {key: value for key, value in layer.items() if value is not None}
        setup |= given.pop("sandbox", {})
        merged |= given
    default = Settings()
    limits = default.limits
    return Settings(
        model=merged.get("model", default.model),
        checks=tuple(merged.get("checks", ())),
        protect=tuple(merged.get("protect", ())),
        sandbox=setup.pop("name", default.sandbox),
        sandbox_setup=setup,
        limits=Limits(
            iterations=merged.get("iterations", limits.iterations),
            patience=merged.get("patience", limits.patience),
            steps=merged.get("max_steps", limits.steps),
            tokens=merged.get("max_tokens", limits.tokens),
            seconds=float(merged.get("max_seconds", limits.seconds)),
            usd=merged.get("max_usd", limits.usd),
        ),
        notes_tokens=merged.get("notes_tokens", default.notes_tokens),
        asked=frozenset(merged),
    )


def read(path: Path, *, repository: bool = False) -> Values:
    """A settings file; empty when there is none. UsageError names file, line and the nearest known key.

    A repository's file may not name the model, since a repository must not choose who reads it; nor the local sandbox, in which commands
    run on this machine.
    """
    if repository and not path.resolve().is_relative_to(path.parent.resolve()):
        raise UsageError(f"{path} is a link that leads out of the repository, and is not followed; remove it")
    try:
        source = load(path)
    except FileNotFoundError:
        return {}
    if repository and "model" in source.data:
        raise UsageError(
            f"{source.where(('model',))}: a repository may not choose the model; use --model, CODAGENT_MODEL or your user file"
        )
    check(source, source.data, KEYS)
    if repository:
        refuse_local(source)
    return source.data


def refuse_local(source: Source) -> None:
    """UsageError when a file that may be somebody else's chooses the local sandbox."""
    if source.data.get("sandbox", {}).get("name") == LOCAL:
        raise UsageError(
            f"{source.where(('sandbox', 'name'))}: a repository may not choose the local sandbox, whose commands run on this machine; "
            "use --sandbox local, CODAGENT_SANDBOX or your user file"
        )


def lowered(values: Values, own: Settings) -> tuple[Values, list[str]]:
    """A repository's settings without limits above the person's `own`, and the names of those that were left out."""
    highest = {
        "iterations": own.limits.iterations,
        "patience": own.limits.patience,
        "max_steps": own.limits.steps,
        "max_tokens": own.limits.tokens,
        "max_seconds": own.limits.seconds,
        "max_usd": own.limits.usd,
        "notes_tokens": own.notes_tokens,
    }
    left_out = [key for key, most in highest.items() if key in values and most is not None and values[key] > most]
    return {key: value for key, value in values.items() if key not in left_out}, left_out


def environment(variables: Mapping[str, str]) -> Values:
    """CODAGENT_MODEL, CODAGENT_SANDBOX, CODAGENT_ITERATIONS, CODAGENT_PATIENCE and CODAGENT_MAX_…."""
    values: dict[str, Any] = {"model": variables.get("CODAGENT_MODEL")}
    if name := variables.get("CODAGENT_SANDBOX"):
        values["sandbox"] = {"name": name}
    for key, kind in LIMITS.items():
        variable = f"CODAGENT_{key.upper()}"
        if raw := variables.get(variable):
            values[key] = _number(raw)
            if not kind.fits(values[key]):
                raise UsageError(f"{variable} must be {kind.told}, not {raw!r}")
    return values


def _number(raw: str) -> float | None:
    for kind in (int, float):
        try:
            return kind(raw)
        except ValueError:
            continue
    return None
