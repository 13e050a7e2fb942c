"""Finds where a bug is likely: in functions, and lines of them, that tests run when they fail, and seldom when they pass.

The measure is Ochiai's: failed / sqrt(all failures * (failed + passed)), with the tests that run a line. It says 1 of a line that every
failing test runs and no passing one does. A function is as likely as the likeliest of its lines, or as its call.
"""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

from codagent.protocols import Sandbox
from codagent.repository.gate.commands.pytest_command import parse_pytest
from codagent.repository.git import TESTS

SECONDS = 30.0  # that the tests may take when they are traced; without an end there are no suspects
MOST_WEIGHT = 8  # a function that a task names weighs about 4
_MOST = 20
_MOST_NAMED = 4
_MOST_LINES = 5
_LONGEST_NAME = 100
_MOST_BYTES = 4_000_000
_TRACED = Path(__file__).with_name("traced_pytest.py")


@dataclass(frozen=True, slots=True)
class Suspect:
    """A function that may have the bug."""

    path: str
    line: int  # its first, from 1
    name: str  # with that of its class, where Python tells it; "": it has none that can be shown
    score: float  # 0..1
    lines: Mapping[int, float] = field(default_factory=dict)  # the score of each of its lines that ran, by its number in the file


def find_suspects(sandbox: Sandbox, checks: Sequence[str], *, seconds: float = SECONDS) -> tuple[Suspect, ...]:
    """Run the first check that is a pytest command once more, traced, and return the likeliest functions, the best first.

    (): no check is one, no test fails, or the run has no end within `seconds`. Tests themselves are left out.
    """
    pytest = next(filter(None, map(parse_pytest, checks)), None)
    if pytest is None:
        return ()
    folder = f"/tmp/{secrets.token_hex(8)}"  # noqa: S108 - a path in the sandbox
    try:
        sandbox.write(f"{folder}/__main__.py", _TRACED.read_bytes())
        sandbox.run(pytest.run(folder), timeout=seconds)
        data = sandbox.read(f"{folder}/ran.json")
    except OSError:
        return ()
    finally:
        sandbox.run(f"rm -rf {folder}", timeout=60)
    return _rank(data) if len(data) <= _MOST_BYTES else ()


def weigh(suspects: Sequence[Suspect]) -> Mapping[str, Mapping[int, int]]:
    """Return how much each suspect counts beside what a text names, up to `MOST_WEIGHT` for the likeliest, by path and line."""
    weights: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for suspect in suspects:
        weights[suspect.path][suspect.line] = round(MOST_WEIGHT * suspect.score / suspects[0].score)
    return weights


def name_likely(suspects: Sequence[Suspect]) -> tuple[str, ...]:
    """Return the names of the likeliest functions, the best first. (): so many are as likely as each other that names would not help."""
    names = tuple(dict.fromkeys(suspect.name for suspect in _select_likely(suspects) if suspect.name))
    return names if len(names) <= _MOST_NAMED else ()


def find_likely_lines(suspects: Sequence[Suspect]) -> tuple[tuple[str, int], ...]:
    """Return the likeliest lines of the likeliest functions, each with its path, the best first.

    Lines that are as likely as each other are told together or not at all. (): even the best are too many, in all these functions and in
    the first alone.
    """
    likely = _select_likely(suspects)
    return _select_lines(likely) or _select_lines(likely[:1])


def _select_lines(suspects: Sequence[Suspect]) -> tuple[tuple[str, int], ...]:
    alike: defaultdict[float, list[tuple[str, int]]] = defaultdict(list)
    for suspect in suspects:
        for line, score in suspect.lines.items():
            alike[score].append((suspect.path, line))
    found: list[tuple[str, int]] = []
    for score in sorted(alike, reverse=True):
        if len(found) + len(alike[score]) > _MOST_LINES:
            break
        found += alike[score]
    return tuple(found)


def _select_likely(suspects: Sequence[Suspect]) -> list[Suspect]:
    return [suspect for suspect in suspects if suspect.score >= suspects[0].score / 2]


def _read_name(name: str) -> str:
    """Return the name of the function that a function stands in, or its own."""
    outer = str(name).partition(".<locals>")[0]
    return outer if outer.replace(".", "_").isidentifier() and len(outer) <= _LONGEST_NAME else ""


def _rank(data: bytes) -> tuple[Suspect, ...]:
    """Read what the sandbox has left, which anything there may have written."""
    try:
        content = json.loads(data)
        failures = int(content["failures"])
        suspects = [_suspect(failures, row) for row in content["ran"] if not TESTS.search(str(row[0]))]
    except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
        return ()
    likely = [suspect for suspect in suspects if suspect.score]
    return tuple(sorted(likely, key=lambda suspect: (-suspect.score, suspect.path, suspect.line))[:_MOST])


def _suspect(failures: int, row: Sequence[Any]) -> Suspect:
    path, start, name, failed, passed, ran = row
    lines = {int(line): _score(failures, failed, passed) for line, failed, passed in sorted(ran)}
    return Suspect(str(path), int(start), _read_name(name), max(_score(failures, failed, passed), *lines.values(), 0.0), lines)


def _score(failures: int, failed: int, passed: int) -> float:
    """Return Ochiai's measure; 0 for counts that cannot be."""
    return int(failed) / sqrt(failures * (int(failed) + int(passed))) if 0 < failed <= failures and passed >= 0 else 0.0
