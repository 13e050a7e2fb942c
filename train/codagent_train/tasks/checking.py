"""Runs the tests of a repository on one bug after the other, in a sandbox, and finds out which tests fail by it."""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from codagent.errors import UsageError
from codagent.protocols import GateSandbox
from codagent.repository import git
from codagent.repository.gate.commands.pytest_command import PytestCommand, parse_pytest
from codagent.repository.gate.pytest_run import TestReport, run_tests
from codagent.types import CommandResult

MOST_FAILING = 8  # tests by one bug
_FIRST_S, _LEAST_S, _FACTOR = 120.0, 10.0, 5.0  # limits: of the first run, and of later ones by the time that the first took
_WAITED = 6.0  # how many times longer than its time of a processor a run may take by the clock
_OUT_OF_TIME = 128 + signal.SIGXCPU
_NETWORK = re.compile(
    r"gaierror|name resolution|Name or service not known|Network is unreachable"
    r"|NameResolutionError|NewConnectionError|ConnectError|URLError"
)
_TIDY = "git checkout -q --force . && git clean -fdxq"

Verdict = Literal["task", "hangs", "breaks the run", "breaks too much", "not noticed", "changes other tests"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What the tests say of a bug. `failing` are the tests that fail by it, each with what it prints; empty unless it makes a task."""

    verdict: Verdict
    failing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the tests do without a bug."""

    outcomes: Mapping[str, str]  # of each test
    seconds: float  # of a processor, that a run may take
    suspicious: Mapping[str, str] = field(default_factory=dict)  # what is done without a bug, and is suspicious all the same
    uncollected: Mapping[str, str] = field(default_factory=dict)  # files that skip themselves, as without a package that they need


class BugChecker:
    """A sandbox with a repository, in which bugs are tried. One thread at a time may use it."""

    def __init__(self, sandbox: GateSandbox, packed: bytes, check: str) -> None:
        """`packed` is the repository as `git.pack` gives it, `check` a pytest command."""
        git.copy_in(sandbox, packed)
        self._sandbox, self._pytest = sandbox, parse_check(check)

    def measure(self) -> Baseline:
        """Run the tests twice without a bug. Raises UsageError when no task can be made from them."""
        result, first = self._run(_FIRST_S)
        refuse_unfit(result, first)
        with self._tidied():
            again, second = self._run(_FIRST_S)
        refuse_unfit(again, second)
        if first.outcomes != second.outcomes:
            name = next(name for name in {**first.outcomes, **second.outcomes} if first.outcomes.get(name) != second.outcomes.get(name))
            raise UsageError(f"its tests do not end the same way twice, first {name}")
        seconds = max(_LEAST_S, _FACTOR * max(result.seconds, again.seconds))
        return Baseline(first.outcomes, seconds, {**first.suspicious, **second.suspicious}, first.uncollected)

    def try_bug(self, path: str, data: bytes, base: Baseline) -> Trial:
        """Run the tests with another content of one file, which is put back afterwards."""
        with self._tidied():
            self._sandbox.write(path, data)
            result, report = self._run(base.seconds)
        verdict = judge_bug(result, report, base)
        failing = [name for name, outcome in report.outcomes.items() if outcome == "failed"] if verdict == "task" else []
        return Trial(verdict, {name: excerpt(result.output, name) for name in failing})

    def close(self) -> None:
        self._sandbox.close()

    def _run(self, seconds: float) -> tuple[CommandResult, TestReport]:
        """Run the tests for so many seconds of a processor. The clock is not asked first: a machine may be busy with other work."""
        pytest = self._pytest
        shown = replace(
            pytest,
            folder=f"ulimit -t {math.ceil(seconds)} && {pytest.folder}",
            settings=f"COLUMNS=160 {pytest.settings}",
            arguments=f"{pytest.arguments} --tb=short",
        )
        result, report = run_tests(self._sandbox, shown, seconds=_WAITED * seconds)
        return replace(result, timed_out=result.timed_out or result.exit_code == _OUT_OF_TIME), report

    @contextmanager
    def _tidied(self) -> Iterator[None]:
        """Put the workspace back to the commit after the block, and end what still runs."""
        try:
            yield
        finally:
            self._sandbox.kill_all()
            self._sandbox.run(_TIDY, timeout=60)


def parse_check(check: str) -> PytestCommand:
    """Return the pytest command of a check. Raises UsageError for any other command: the result of each test must be known."""
    pytest = parse_pytest(check)
    if pytest is None:
        raise UsageError(f"the check `{check}` is not a pytest command, so it is not known which tests fail; give one with --check")
    return pytest


def refuse_unfit(result: CommandResult, report: TestReport) -> None:
    """Raise UsageError when the tests do not pass as they are. The sentence lacks the name of the repository."""
    failed = [name for name, outcome in report.outcomes.items() if outcome == "failed"]
    unread = [name for name, outcome in report.uncollected.items() if outcome == "failed"]
    errors = re.findall(r"^E +(.*)", result.output, re.MULTILINE)
    lines = [line for line in result.output.splitlines() if "error:" in line.lower()] or result.output.strip().splitlines()
    first_error = (errors or lines or ["pytest says nothing"])[-1][:200].strip()
    if result.timed_out:
        raise UsageError(f"its tests take longer than {_FIRST_S:.0f} s; name a part of them with --check 'python -m pytest -q PATH'")
    if (failed or unread) and _NETWORK.search(result.output):
        raise UsageError(f"its tests need the network, which the sandbox does not have, first {(failed or unread)[0]}")
    if unread:
        advice = "; have it installed by [sandbox] setup in a codagent.toml" if "No module named" in first_error else ""
        raise UsageError(f"its tests cannot be collected: {first_error}{advice}")
    if failed:
        raise UsageError(f"{len(failed)} of its {len(report.outcomes)} tests fail as it is, first {failed[0]}: {first_error}")
    if report.code == 5 or (report.code == 0 and not report.outcomes):
        raise UsageError("pytest finds no test in it")
    if report.code != 0:
        raise UsageError(f"its tests do not run: {first_error}")


def judge_bug(result: CommandResult, report: TestReport, base: Baseline) -> Verdict:
    """Say whether a bug makes a task: some tests fail that passed, no more than a few, and all others end as they did."""
    if result.timed_out:
        return "hangs"
    if (
        report.code is None
        or report.uncollected != base.uncollected
        or not report.suspicious.items() <= base.suspicious.items()
        or not report.trusted
        or report.outcomes.keys() != base.outcomes.keys()
    ):
        return "breaks the run"
    changed = [name for name, outcome in report.outcomes.items() if outcome != base.outcomes[name]]
    if not changed:
        return "not noticed"
    if any(report.outcomes[name] != "failed" or base.outcomes[name] != "passed" for name in changed):
        return "changes other tests"
    passed = sum(outcome == "passed" for outcome in report.outcomes.values())
    return "task" if len(changed) <= MOST_FAILING and passed else "breaks too much"


def excerpt(output: str, test: str) -> str:
    """Return what a run with `--tb=short` prints of a failed test: the line of the test that fails, and the error; no line of the code.

    "": nothing that can be read.
    """
    title = re.escape(test.partition("::")[2].replace("::", "."))
    block = re.search(rf"^_+ {title} _+\n(.*?)(?=^_{{5,}} |^={{5,}} |\Z)", output, re.DOTALL | re.MULTILINE)
    if block is None:
        return ""
    place = re.search(rf"^{re.escape(test.partition('::')[0])}:\d+: in .*\n((?:    .*\n)+)", block[1], re.MULTILINE)
    line = " ".join(word for word in place[1].split() if set(word) - set("^~")) if place else ""
    error = re.search(r"^E +(.*)", block[1], re.MULTILINE)
    return "\n".join(part for part in (line[:300], error[1][:300] if error else "") if part)
