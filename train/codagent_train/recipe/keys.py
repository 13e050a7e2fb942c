"""TOML files: read them, check them against the keys that are known, and say on which line something is wrong."""

from __future__ import annotations

import math
import re
import tomllib
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Union

from codagent.errors import RepositoryError, UsageError
from codagent.files import read_plain

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


@dataclass(frozen=True, slots=True)
class Source:
    """A TOML file as it was read."""

    path: Path
    text: str
    data: Values

    def where(self, at: At) -> str:
        """The file, and the line on which what lies at `at` begins."""
        return f"{self.path}, line {_line(self.text, at)}"


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
