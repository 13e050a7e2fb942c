"""Shortens what pytest prints to the lines that explain its failures, for models that read little."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SECTION = re.compile(r"={3,} (.+?) ={3,}$")
_HEADER = re.compile(r"_+ (?!_ ).+ _+$")  # of a failure; `_ _ _` stands between the parts of one
_CAPTURED = re.compile(r"-+ Captured .+ -+$")
_NAMED = re.compile(r"FAILED |ERROR ")
_COUNTS = re.compile(r"=*\s?\d+ (failed|passed|errors?)\b.* in ")
_BEFORE = re.compile(r"[$] |exit \d")  # of what stands before the failures
_EXPLAINS = re.compile(r"> |E  +\S|\S+\.py:\d+: ")
_FAILURES = ("FAILURES", "ERRORS")
_NAMES = 5  # of tests


@dataclass(frozen=True, slots=True)
class _Detail:
    """How many lines of a failure are kept."""

    code: int  # of the test, before the line that fails
    errors: int
    printed: int


_FIRST, _OTHERS = _Detail(code=20, errors=8, printed=12), _Detail(code=0, errors=4, printed=0)
_MOST = 3  # failures that are shown


def summarize_pytest(output: str) -> str:
    """Return the lines of a failing pytest run that explain the failures: three of them, the first in detail. The others are named.

    Other output is returned unchanged.
    """
    lines = output.removesuffix("\n").split("\n")
    if not any(line.startswith("E  ") for line in lines) and not any(map(_NAMED.match, lines)):
        return output
    named = [line for line in lines if _NAMED.match(line)]
    before, *failures = _split_failures(lines)
    kept = [line for line in before if _BEFORE.match(line) or (not failures and _EXPLAINS.match(line))]
    for number, failure in enumerate(failures[:_MOST]):
        kept += _shorten(failure, _OTHERS if number else _FIRST)
    more = [f"… and {len(named) - _NAMES} more"] if len(named) > _NAMES else []
    return "\n".join([*kept, *named[:_NAMES], *more, *[line for line in lines if _COUNTS.match(line)][-1:]])


def _split_failures(lines: Sequence[str]) -> Iterator[list[str]]:
    """Yield what stands before the first failure, then each failure with its header."""
    block: list[str] = []
    apart = False  # in a section that is not about failures
    for line in lines:
        section = _SECTION.match(line)
        if section:
            apart = section[1] not in _FAILURES
        elif _HEADER.match(line) and not apart:
            yield block
            block = [line]
        elif not apart and not _NAMED.match(line) and not _COUNTS.match(line):
            block.append(line)
    yield block


def _shorten(failure: Sequence[str], detail: _Detail) -> list[str]:
    header, *lines = failure
    fails = next((at for at, line in enumerate(lines) if line.startswith(">")), 0)
    printed = next((at for at, line in enumerate(lines) if _CAPTURED.match(line)), len(lines))
    code = [line for line in lines[:fails] if line.strip()]
    explains = [line for line in lines[fails:printed] if _EXPLAINS.match(line)]
    errors = [line for line in explains if line.startswith("E")]
    kept = [line for line in explains if not line.startswith("E") or line in errors[: detail.errors]]
    output = [line for line in lines[printed:] if line.strip()]
    return [header, *code[max(0, len(code) - detail.code) :], *kept, *output[: detail.printed]]
