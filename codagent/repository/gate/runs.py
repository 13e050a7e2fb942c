"""Runs the checks on a tree in fresh sandboxes: as it is and, beside that, with twins of the tests."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from codagent.errors import SandboxError
from codagent.protocols import GateSandbox, Sandbox
from codagent.pytest_output import summarize_pytest
from codagent.repository import git
from codagent.repository.gate.commands.listed_tests import make_verbose, read_list
from codagent.repository.gate.commands.program import find_missing_program, never_runs_tests
from codagent.repository.gate.commands.pytest_command import parse_pytest, split_check
from codagent.repository.gate.pytest_run import TestReport, run_tests, run_watched
from codagent.repository.gate.twins import NO_TWINS, Mixtures, TwinMixture
from codagent.repository.gate.verdict import Run
from codagent.text import format_result, sanitize
from codagent.types import CommandResult, Profile

CHECK_SECONDS = 600.0
_MOST_JOBS = 3  # that run side by side
TIMED_OUT = 124  # the exit code of a command that a time limit has ended
_NO_FILES: Mapping[str, bytes] = {}
_BRIEF = Profile(output_lines=60, output_bytes=6_000)

Job = tuple[Sequence[str], TwinMixture]  # parts of checks, and which of their tests are twins


@dataclass(frozen=True, slots=True)
class CheckRunner:
    """Runs checks on trees of a repository."""

    root: Path
    parent: str  # the commit that the sandboxes show as the one before
    open_sandbox: Callable[[], GateSandbox]

    def run(self, tree: str, checks: Sequence[str], deadline: float = math.inf, files: Mapping[str, bytes] = _NO_FILES) -> tuple[Run, ...]:
        """Run the checks, in order, on a tree with other contents of `files`.

        After `deadline`, a value of time.monotonic, those that have not run count as failed.
        """
        return self._run_side_by_side(tree, [(split_checks(checks), NO_TWINS)], deadline, files)[0]

    def run_with_twins(self, tree: str, checks: Sequence[str], mix: Callable[[], Mixtures], deadline: float) -> tuple[Run, ...]:
        """Run the checks, and those that are pytest also with twins, each time in fresh sandboxes and side by side.

        `mix` returns the twins. It is called while the checks already run as they are.
        """
        parts = split_checks(checks)
        known = [parse_pytest(part) is not None for part in parts]

        def list_jobs() -> Iterator[Job]:
            yield parts, NO_TWINS
            if any(known) and (mixtures := mix()).halves:
                yield from _mix(parts, known, mixtures)

        runs, *twins = self._run_side_by_side(tree, list_jobs(), deadline)
        mixtures = mix()
        if not twins:
            # A command may turn out to call pytest, and pytest may turn out to run doctests.
            known = [run.tests is not None and bool(mixtures.halves or run.tests.doctests) for run in runs]
            if not any(known):
                return runs
            twins = self._run_side_by_side(tree, _mix(parts, known, mixtures), deadline)
        return tuple(
            _add_twins(run, [one[place] for one in twins], mixtures) if place < len(twins[0]) else run for place, run in enumerate(runs)
        )

    def run_codes(self, tree: str, checks: Sequence[str], files: Mapping[str, bytes], deadline: float) -> list[int]:
        """Run the checks on a tree with other contents of `files`, and return their exit codes."""
        return [run.exit_code for run in self.run(tree, checks, deadline, files)]

    def run_again(self, tree: str, checks: Sequence[str], times: int, deadline: float) -> list[tuple[Run, ...]]:
        """Run the checks several times, each in fresh sandboxes."""
        return self._run_side_by_side(tree, [(split_checks(checks), NO_TWINS)] * times, deadline)

    def _run_side_by_side(
        self, tree: str, jobs: Iterable[Job], deadline: float, files: Mapping[str, bytes] = _NO_FILES
    ) -> list[tuple[Run, ...]]:
        packed = self._pack(tree, files)
        with closing(_Opener(self.open_sandbox)) as opener, ThreadPoolExecutor(_MOST_JOBS) as pool:
            try:
                waiting = [pool.submit(_run_parts, opener, packed, *job, deadline) for job in jobs]
                return [one.result() for one in waiting]
            except BaseException:
                opener.close()  # so that the other threads end
                raise

    def _pack(self, tree: str, files: Mapping[str, bytes]) -> bytes:
        changed = git.replace_files(self.root, tree, files) if files else tree
        commit = git.commit(self.root, changed, self.parent, "what the checks run on", trailers={})
        return git.pack(self.root, commit, submodules=git.list_submodules(self.root, tree))


class _Opener:
    """Opens sandboxes in any thread, and closes them all when no more are needed."""

    def __init__(self, open_sandbox: Callable[[], GateSandbox]) -> None:
        self._open_sandbox, self._opened, self._closed = open_sandbox, ExitStack(), False

    def __call__(self) -> GateSandbox:
        sandbox = self._opened.enter_context(closing(self._open_sandbox()))
        if self._closed:
            self.close()
            raise SandboxError("the checks were stopped")
        return sandbox

    def close(self) -> None:
        self._closed = True
        self._opened.close()


def _mix(parts: Sequence[str], tested: Sequence[bool], mixtures: Mixtures) -> list[Job]:
    """Return the jobs of both mixtures: the parts up to the last one that runs tests."""
    end = len(parts) - [*reversed(tested)].index(True)
    return [(parts[:end], mixture) for mixture in mixtures.mixed]


def split_checks(checks: Sequence[str]) -> list[str]:
    """Return the parts of all checks, each of which is run by itself."""
    return [part for check in checks for part in split_check(check)]


def run_check(sandbox: Sandbox, check: str, *, seconds: float = CHECK_SECONDS) -> CommandResult:
    """Run one check at the repository's root, for at most `seconds` and at most CHECK_SECONDS.

    Only a hint: in the agent's own sandbox, the agent can forge the exit code.
    """
    return sandbox.run(_fail_in_pipes(check), timeout=_limit_seconds(seconds))


def try_checks(sandbox: Sandbox, checks: Sequence[str], profile: Profile, *, seconds_left: Callable[[], float]) -> tuple[str, bool]:
    """Run the checks in the agent's own sandbox, up to the first that fails. Returns what they print, in short, and whether all pass."""
    output = []
    for check in checks:
        result = run_check(sandbox, check, seconds=seconds_left())
        short = replace(result, output=summarize_pytest(sanitize(result.output)))
        output.append(f"$ {check}\n{format_result(short, profile)}")
        if result.exit_code:
            return "\n".join(output), False
    return "\n".join(output), bool(output)


def _run_parts(
    open_sandbox: Callable[[], GateSandbox], packed: bytes, parts: Sequence[str], mixture: TwinMixture, deadline: float
) -> tuple[Run, ...]:
    """Run the parts in order. What only pytest has used is not used again: its code may have left something for the next part."""
    runs: list[Run] = []
    sandbox, only_pytest = None, True
    for part in parts:
        is_pytest = parse_pytest(part) is not None
        if sandbox is None or (is_pytest and only_pytest):
            sandbox = open_sandbox()
            git.copy_in(sandbox, packed)
        only_pytest = only_pytest and is_pytest
        runs.append(_run_one(sandbox, part, mixture, deadline - time.monotonic()))
    return tuple(runs)


def _run_one(sandbox: GateSandbox, check: str, mixture: TwinMixture, seconds: float) -> Run:
    if seconds <= 0:
        return Run(check, TIMED_OUT, "there was no time left to run it", cut=True)
    pytest, tests = parse_pytest(check), None
    if pytest is None and never_runs_tests(check):
        result = sandbox.run_attested(_fail_in_pipes(check), timeout=_limit_seconds(seconds))
    elif pytest is None:
        result, tests = run_watched(sandbox, _fail_in_pipes(make_verbose(check)), mixture, seconds=_limit_seconds(seconds))
    else:
        result, tests = run_tests(sandbox, pytest, mixture, seconds=_limit_seconds(seconds))
    missing = find_missing_program(sandbox, check, result.exit_code)
    cut = result.timed_out and seconds < CHECK_SECONDS
    return Run(check, result.exit_code, format_result(result, _BRIEF), tests, read_list(check, result.output), missing, cut=cut)


def _add_twins(run: Run, mixed: Sequence[Run], mixtures: Mixtures) -> Run:
    """Add to a run of pytest what became of the twin of each test, and of the test when it ran a second time."""
    if run.tests is None:
        return run
    outcomes = [(one.tests or TestReport()).outcomes for one in mixed]
    files = run.tests.files
    places = {test: "::".join([files.get(file, file), *rest]) for test in run.tests.outcomes for file, *rest in [test.split("::")]}
    halves = {test: half for test, place in places.items() if (half := mixtures.half_of(place)) is not None}
    halves |= {test: half for test in run.tests.doctests if (half := mixtures.half_of_doctest(test)) is not None}
    twins = {test: outcomes[half].get(test, "") for test, half in halves.items()}
    again = {test: outcomes[1 - half].get(test, "") for test, half in halves.items()}
    return replace(run, tests=replace(run.tests, twins=twins, again=again))


def _fail_in_pipes(check: str) -> str:
    """Make a pipe fail when any of its commands does, and not the last alone. A check may switch that off."""
    return f"set -o pipefail\n{check}"


def _limit_seconds(seconds: float) -> float:
    return max(0.1, min(seconds, CHECK_SECONDS))
