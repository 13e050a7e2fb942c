"""Settings: defaults < user file < repository file < environment < flags. Reads files that it is given; knows nothing of where they are."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent.types import Limits

Values = Mapping[str, Any]

_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "model": str,
    "checks": list,
    "protect": list,
    "max_steps": int,
    "max_tokens": int,
    "max_seconds": (int, float),
    "max_usd": (int, float),
    "sandbox": dict,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is to do it with. `asked` names the keys that some layer set, the others are defaults."""

    model: str = "embedded"
    checks: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()
    sandbox: str = "python"
    sandbox_setup: Values = field(default_factory=dict)
    limits: Limits = Limits()
    asked: frozenset[str] = frozenset()


def settings(*layers: Values) -> Settings:
    """Merge layers, the later over the earlier; None in a layer means that it says nothing."""
    merged: dict[str, Any] = {}
    setup: dict[str, Any] = {}
    for layer in layers:
        given = {key: value for key, value in layer.items() if value is not None}
        setup |= given.pop("sandbox", {})
        merged |= given
    default = Limits()
    return Settings(
        model=merged.get("model", "embedded"),
        checks=tuple(merged.get("checks", ())),
        protect=tuple(merged.get("protect", ())),
        sandbox=setup.pop("name", "python"),
        sandbox_setup=setup,
        limits=Limits(
            steps=merged.get("max_steps", default.steps),
            tokens=merged.get("max_tokens", default.tokens),
            seconds=float(merged.get("max_seconds", default.seconds)),
            usd=merged.get("max_usd", default.usd),
        ),
        asked=frozenset(merged),
    )


def read(path: Path, *, repository: bool = False) -> Values:
    """A settings file; empty when there is none. UsageError names file, line and the nearest known key.

    A repository's file may not name the model: a repository must not choose who reads it.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    if repository and "model" in data:
        raise UsageError(
            f"{_where(path, text, 'model')}: a repository may not choose the model; use --model, CODAGENT_MODEL or your user file"
        )
    _check(data, path, text)
    return data


def environment(variables: Mapping[str, str]) -> Values:
    """CODAGENT_MODEL, CODAGENT_SANDBOX and CODAGENT_MAX_…."""
    values: dict[str, Any] = {"model": variables.get("CODAGENT_MODEL")}
    if name := variables.get("CODAGENT_SANDBOX"):
        values["sandbox"] = {"name": name}
    for key in ("max_steps", "max_tokens", "max_seconds", "max_usd"):
        variable = f"CODAGENT_{key.upper()}"
        if raw := variables.get(variable):
            try:
                values[key] = int(raw) if _KEYS[key] is int else float(raw)
            except ValueError:
                raise UsageError(f"{variable} must be a number, not {raw!r}") from None
    return values


def _check(data: Values, path: Path, text: str) -> None:
    for key, value in data.items():
        if key not in _KEYS:
            near = get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_KEYS)}"
            raise UsageError(f"{_where(path, text, key)}: unknown key {key!r}; {hint}")
        if not _fits(value, _KEYS[key]):
            raise UsageError(f"{_where(path, text, key)}: {key!r} has a value of the wrong type ({value!r})")
        if key.startswith("max_") and value <= 0:
            raise UsageError(f"{_where(path, text, key)}: {key!r} must be above zero")


def _fits(value: Any, kind: type | tuple[type, ...]) -> bool:
    if isinstance(value, list):
        return kind is list and all(isinstance(item, str) for item in value)
    return isinstance(value, kind) and not isinstance(value, bool)


def _where(path: Path, text: str, key: str) -> str:
    found = re.search(rf"^\s*\[?{re.escape(key)}\b", text, re.MULTILINE)
    return f"{path}, line {text.count(chr(10), 0, found.end()) + 1}" if found else str(path)
