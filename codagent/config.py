"""Settings: defaults < user file < repository file < task file < environment < flags. Reads files that it is given; knows nothing of where
they are."""

from __future__ import annotations

import math
import re
import tomllib
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Union

from codagent.errors import RepositoryError, UsageError
from codagent.files import read_plain
from codagent.types import Limits

LOCAL = "local"  # the sandbox that does not isolate
Values = Mapping[str, Any]
At = tuple[str | int, ...]  # a place in TOML data: keys, and numbers in lists


@dataclass(frozen=True, slots=True)
class Kind:
    """What a key may hold, and how a person is told of it."""

    told: str
    fits: Callable[[Any], bool]


Keys = Mapping[str, Union[Kind, "Keys", list["Keys"]]]  # what may stand in a table; a list of one is for [[tables]]

TEXT = Kind("a text that is not blank", lambda value: isinstance(value, str) and bool(value.strip()))
TEXTS = Kind("a list of texts, none of them blank", lambda value: isinstance(value, list) and all(map(TEXT.fits, value)))
WHOLE = Kind("a whole number", lambda value: type(value) is int)
COUNT = Kind("a whole number above zero", lambda value: type(value) is int and value > 0)
AMOUNT = Kind("a number above zero", lambda value: type(value) in (int, float) and 0 < value < math.inf)

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


@dataclass(frozen=True, slots=True)
class Source:
    """A TOML file as it was read."""

    path: Path
    text: str
    data: Values

    def where(self, at: At) -> str:
        """The file, and the line on which what lies at `at` begins."""
        return f"{self.path}, line {_line(self.text, at)}"


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


def load(path: Path) -> Source:
    """FileNotFoundError when there is none, UsageError when it is not TOML."""
    text = text_of(path)
    try:
        return Source(path, text, tomllib.loads(text))
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}") from None


def text_of(path: Path) -> str:
    """FileNotFoundError when there is none, UsageError when it cannot be read. A link is followed to a plain file, and to nothing else."""
    try:
        return read_plain(path.resolve()).decode("utf-8-sig")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError, RepositoryError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None


def check(source: Source, table: Values, keys: Keys, at: At = ()) -> None:
    """UsageError with file, line and what would do, unless the table at `at` has but keys that are known, each with a value that fits."""
    for key, value in table.items():
        here = (*at, key)
        if key not in keys:
            near = get_close_matches(key, keys, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(keys)}"
            inside = f" in [{at[0]}]" if at else ""
            raise UsageError(f"{source.where(here)}: unknown key {key!r}{inside}; {hint}")
        kind = keys[key]
        if isinstance(kind, Mapping) and isinstance(value, dict):
            check(source, value, kind, here)
        elif isinstance(kind, list) and isinstance(value, list) and all(isinstance(item, dict) for item in value):
            for number, item in enumerate(value):
                check(source, item, kind[0], (*here, number))
        elif not (isinstance(kind, Kind) and kind.fits(value)):
            raise UsageError(f"{source.where(here)}: {key!r} must be {_told(key, kind)}, not {value!r:.80}")


def _told(key: str, kind: Kind | Keys | list[Keys]) -> str:
    if isinstance(kind, Kind):
        return kind.told
    return f"a table, [{key}]" if isinstance(kind, Mapping) else f"tables, [[{key}]]"


def _number(raw: str) -> float | None:
    for kind in (int, float):
        try:
            return kind(raw)
        except ValueError:
            continue
    return None


def _line(text: str, at: At) -> int:
    """Statements are told apart, and the one that brings `at` is found, by parsing: whatever TOML allows for writing it, it is found."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    ends = [0]
    for number in range(1, len(lines) + 1):
        if _parsed(lines[ends[-1] : number]) is not None:
            ends.append(number)
    first = bisect_left(ends, True, key=lambda end: _holds(_parsed(lines[:end]), at))
    return ends[first - 1] + 1


def _parsed(lines: list[str]) -> Any:
    try:
        return tomllib.loads("".join(lines))
    except tomllib.TOMLDecodeError:
        return None


def _holds(data: Any, at: At) -> bool:
    try:
        for step in at:
            data = data[step]
    except (KeyError, IndexError):
        return False
    return True
