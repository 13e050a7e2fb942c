"""Reads which tests ran out of what test runners other than pytest print: unittest, go, cargo, and those of JavaScript.

The code under test can print such lines, too. So a list only shows that a test is missing, not that one has passed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# Options that make a runner print its tests, where it does not do so by itself.
_VERBOSE = (
    (re.compile(r"(-m\s+unittest(?:\s+discover)?)\b(?!.*\s(-v|--verbose)\b)"), r"\1 -v"),
    (re.compile(r"(\bgo\s+test)\b(?!.*\s-v\b)"), r"\1 -v"),
)
_UNITTEST = re.compile(r"^(?P<name>\w+ \((?!unittest\.loader)[\w.]+\))(?:\n.*?)? \.\.\. (?P<skipped>skipped)?", re.MULTILINE)
_GO = re.compile(r"^\s*--- (?:PASS|FAIL|(?P<skipped>SKIP)): (?P<name>\S+)", re.MULTILINE)
_CARGO = re.compile(r"^test (?P<name>\S.*?) \.\.\. (?:ok|FAILED|(?P<skipped>ignored))", re.MULTILINE)
_TAP = re.compile(r"^\s*(?:not )?ok \d+ (?:- )?(?P<name>.+?)(?P<skipped> # (?:SKIP|TODO).*)?$", re.MULTILINE)
_TICKS = re.compile(r"^\s*(?:[✓✔√✗✘✖×✕]|(?P<skipped>[○↓﹣])) (?:skipped )?(?P<name>.+?)(?: \([\d.]+ ?m?s\))?$", re.MULTILINE)  # noqa: RUF001
_RUNNERS = {
    re.compile(r"\bunittest\b"): (_UNITTEST,),
    re.compile(r"\bgo\s+test\b"): (_GO,),
    re.compile(r"\bcargo\s+(\w+\s+)?test\b"): (_CARGO,),
    re.compile(r"\b(npm|npx|yarn|pnpm|node|deno|bun|jest|mocha|vitest)\b"): (_TAP, _TICKS),
}


def lists_tests(check: str) -> bool:
    """Whether a check calls a runner that prints its tests."""
    return any(runner.search(check) for runner in _RUNNERS)


def make_verbose(check: str) -> str:
    """Return a check that prints its tests where its runner needs to be told so."""
    for command, verbose in _VERBOSE:
        check = command.sub(verbose, check)
    return check


def read_list(check: str, output: str) -> Mapping[str, bool]:
    """Return the tests in the output of a check, and whether each was run. A test that was skipped was not."""
    patterns = [pattern for runner, patterns in _RUNNERS.items() if runner.search(check) for pattern in patterns]
    return {match["name"]: not match["skipped"] for pattern in patterns for match in pattern.finditer(output)}
