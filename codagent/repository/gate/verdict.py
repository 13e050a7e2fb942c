"""Compares what the checks did at the start with what they do now, and decides the outcome. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from codagent.repository.gate.commands.pytest_command import parse_pytest
from codagent.repository.gate.pytest_run import TestReport
from codagent.text import strip_controls
from codagent.types import Outcome

PARTIAL = 0.9  # the highest reward when not everything passed
_LISTED = 20  # lines of one kind in the feedback
_FAILS = "fails"
_AGREES = "is not believed: it also passes when its assertions expect something else"
_UNREACHED = "is not believed: it no longer comes to its assertions"
_UNSTEADY = "is not believed: it does not pass a second time"
_LOOK = "A person has to look at these changes before a pass counts; work without them, or --allow GLOB lets them be:"
_DEAF = "is not believed: its exit code does not follow the tests as it did at the start"
_SET_ASIDE = ("skipped", "xfailed")


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one check on one tree."""

    check: str
    exit_code: int
    shown: str  # what it printed, shortened
    tests: TestReport | None = None  # None: only the exit code says how it went
    listed: Mapping[str, bool] = field(default_factory=dict)  # the tests that another runner prints, and whether each was run
    missing: str = ""  # the program that the check calls and that the sandbox cannot execute; "": there is none
    deaf: bool = False  # whether its exit code says nothing any more about the tests
    cut: bool = False  # whether a limit of the loop, not of the check, ended it


@dataclass(frozen=True, slots=True)
class CheckVerdict:
    """How one check ended."""

    share: float  # of the required tests that passed, 0..1
    failed: dict[str, str]  # the tests that did not pass, or the check itself, with the reason
    total: int = 1  # how many tests were judged; 1: the check as a whole


def grade_runs(now: Sequence[Run], start: Sequence[Run], undone: Sequence[str], suspicious: Sequence[str] = ()) -> Outcome:
    """Decide the outcome of all checks.

    `start` has the runs of the same checks at the start, or is empty if none of them is pytest. `undone` are the paths whose changes do
    not count, `suspicious` is what a person should look at: with it there is no pass and no reward.
    """
    before = list(start) or [Run(run.check, 0, "") for run in now]
    verdicts = [judge(run, at_start.tests or TestReport(), at_start.listed) for run, at_start in zip(now, before, strict=True)]
    passed = not any(verdict.failed for verdict in verdicts)
    explanations = [_explain(run, verdict) for run, verdict in zip(now, verdicts, strict=True)]
    put_back = _limit_lines(
        [f"{strip_controls(path)} does not count as you left it: the checks use what stood there at the start" for path in undone]
    )
    look = [strip_controls(line) for line in suspicious]
    notes = ["\n".join([_LOOK, *_limit_lines(look)]) if look else "", "\n".join(put_back), count_twins(now)]
    reward = 1.0 if passed else min(PARTIAL, sum(verdict.share for verdict in verdicts) / len(verdicts))
    return Outcome(
        reward=0.0 if look else reward,
        passed=passed and not look,
        feedback="\n\n".join([*explanations, *filter(None, notes)]),
        failed=tuple(strip_controls(name) for verdict in verdicts for name in verdict.failed),
        suspicious=tuple(look) if passed else (),
        total=sum(verdict.total for verdict in verdicts),
    )


def count_twins(runs: Sequence[Run]) -> str:
    """Say how many of the tests that passed are checked by twins; "" when no test has a twin."""
    reports = [run.tests for run in runs if run.tests]
    passed = sum(outcome == "passed" for report in reports for outcome in report.outcomes.values())
    checked = sum(
        report.twins.get(test) == "failed" for report in reports for test, outcome in report.outcomes.items() if outcome == "passed"
    )
    return f"{checked} of {passed} tests that pass are checked by twins" if any(report.twins for report in reports) else ""


def add_passes(run: Run, more: Sequence[Run]) -> Run:
    """Let the tests of a run count as steady that have passed in all of `more` runs, and as unsteady those that have not."""
    if run.tests is None:
        return run
    outcomes = [(one.tests or TestReport()).outcomes for one in more]
    passed = [test for test, outcome in run.tests.outcomes.items() if outcome == "passed"]
    again = {test: next((o for o in (one.get(test, "") for one in outcomes) if o != "passed"), "passed") for test in passed}
    return replace(run, tests=replace(run.tests, again={**run.tests.again, **again}))


def judge(run: Run, start: TestReport, listed: Mapping[str, bool] = {}) -> CheckVerdict:
    """Judge one check. The tests of the start, and the tests that its files have now, must pass; other tests must not fail.

    `listed` are the tests that another runner than pytest printed at the start.
    """
    if run.tests is None:
        return _judge_exit_code(run, start, listed)
    now = run.tests
    if now.code is None:
        return CheckVerdict(0.0, {run.check: f"the run broke off{f' in {now.running}' if now.running else ''}"})
    if not now.trusted:
        return CheckVerdict(0.0, {run.check: "the runner does not report honestly: a test that must fail did not"})
    required = _required_tests(now, start)
    failed = dict(_failures(now, start, required))
    lenient = run.exit_code == 0 and parse_pytest(run.check) is None
    if lenient:  # a command that lets tests fail, as it did at the start
        failed = {name: why for name, why in failed.items() if why != _FAILS or start.outcomes.get(name) not in ("failed", "")}
    passed = len(required - failed.keys())
    if not failed and "passed" not in now.outcomes.values():
        failed = {run.check: "no test ran"}
    if not failed and (now.code != 0 or run.exit_code != 0) and not lenient:
        failed = {run.check: f"pytest ended with {now.code}" if now.code else f"exit {run.exit_code}"}
    if any(name not in now.outcomes for name in now.suspicious if name in failed):
        return CheckVerdict(
            0.0, failed, max(len(failed), len(required))
        )  # a finding that belongs to no test: the whole run is not to be trusted
    return CheckVerdict(passed / (passed + len(failed)) if failed else 1.0, failed, passed + len(failed))


def _judge_exit_code(run: Run, start: TestReport, listed: Mapping[str, bool]) -> CheckVerdict:
    why = "no test ran" if start.outcomes else _DEAF if run.deaf else f"exit {run.exit_code}" if run.exit_code else ""
    failed = {run.check: why} if why else dict(_missing_tests(run.listed, listed))
    return CheckVerdict(0.0, failed) if failed else CheckVerdict(1.0, {})


def _missing_tests(now: Mapping[str, bool], start: Mapping[str, bool]) -> Iterator[tuple[str, str]]:
    for name, ran in start.items():
        if name not in now:
            yield name, "is gone"
        elif ran and not now[name]:
            yield name, "is skipped, as it was not at the start"


def _required_tests(now: TestReport, start: TestReport) -> set[str]:
    known = {_file_of(name) for name in [*start.outcomes, *start.uncollected]}
    here = {name for name in now.outcomes if not start.collected or _file_of(name) in known}
    return {*start.outcomes, *here} or set(now.outcomes)


def _failures(now: TestReport, start: TestReport, required: set[str]) -> Iterator[tuple[str, str]]:
    for name in sorted({*required, *now.outcomes}):
        became = now.outcomes.get(name)
        if became is None:
            yield name, "is gone"
        elif became == "":
            yield name, "did not run"
        elif became == "failed":
            yield name, _FAILS
        elif became in _SET_ASIDE and name in required and start.outcomes.get(name) not in _SET_ASIDE:
            yield name, f"is {became}, as it was not at the start"
    for name, how in now.uncollected.items():
        if how == "failed" or start.uncollected.get(name) == "failed":
            yield name, "could not be collected" if how == "failed" else "is skipped, as it was not at the start"
    yield from ((name, _AGREES) for name in sorted(now.agreeing - start.agreeing))
    yield from ((name, _UNREACHED) for name in sorted(now.unreached) if start.twins.get(name) == "failed")
    yield from ((name, _UNSTEADY) for name in sorted(now.unsteady - start.unsteady))
    for name, why in now.suspicious.items():
        if start.suspicious.get(name) != why:
            yield name, why


def _explain(run: Run, verdict: CheckVerdict) -> str:
    """Say why a check failed, unless its own output says that."""
    own = (_FAILS, f"exit {run.exit_code}")
    lines = [strip_controls(f"FAILED {name}: {why}") for name, why in verdict.failed.items() if why not in own]
    return "\n".join([f"$ {run.check}", *_limit_lines(lines), run.shown])


def _limit_lines(lines: list[str]) -> list[str]:
    return lines if len(lines) <= _LISTED else [*lines[:_LISTED], f"… and {len(lines) - _LISTED} more"]


def _file_of(name: str) -> str:
    return name.partition("::")[0]
