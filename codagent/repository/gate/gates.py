"""Runs the checks of a repository on a commit, in a sandbox that the agent never had access to."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from codagent.errors import UsageError
from codagent.protocols import GateSandbox
from codagent.repository import git
from codagent.repository.gate.cache import Cache, open_cache
from codagent.repository.gate.commands.listed_tests import lists_tests
from codagent.repository.gate.commands.program import never_runs_tests
from codagent.repository.gate.commands.pytest_command import parse_pytest
from codagent.repository.gate.pytest_run import TestReport
from codagent.repository.gate.runs import TIMED_OUT, CheckRunner, split_checks
from codagent.repository.gate.suspicion import FileRules, Review
from codagent.repository.gate.twins import Mixtures, end_command, end_tests, invert_command, invert_tests, mix_tests
from codagent.repository.gate.twins.writer import Ending
from codagent.repository.gate.verdict import Run, add_passes, grade_runs
from codagent.settings.images import suggest_image
from codagent.types import Outcome

REPEATS = 3  # how many more times tests are run that passed once and failed once
_CHANCE_ROUNDS, _CHANCE_SECONDS = 6, 60.0  # how often that is done where a change brings in chance, and for how long at most

_Rewritten = tuple[Mapping[str, bytes], list[str]]  # other contents of files, by path, and other checks


class Gates:
    """Grades commits by comparing them with the start commit."""

    def __init__(
        self,
        root: Path,
        start_commit: str,
        open_sandbox: Callable[[], GateSandbox],
        *,
        rules: FileRules | None = None,
        image: str = "",
        cache: Path | None = None,
    ) -> None:
        """Prepare to grade.

        `image` identifies the image of the sandboxes. `cache` is a file with earlier results; None keeps results in memory only.
        """
        self._root, self._start = root, start_commit
        self._runner = CheckRunner(root, start_commit, open_sandbox)
        self.review, self._image = Review(root, start_commit, rules or FileRules()), image
        self._cache = open_cache(cache) if cache else Cache(None)
        self._at_start: dict[tuple[tuple[str, ...], bool], tuple[Run, ...]] = {}  # by the checks, and whether they ran with twins

    def grade(self, checks: Sequence[str], commit: str, *, seconds: float = math.inf, at_start: bool = False) -> Outcome:
        """Run the checks on `commit`, which may also be a tree. After `seconds`, the checks that have not run count as failed.

        A pass is kept for good, a failure for this process: it may have a cause that passes, like a machine under load, so another command
        judges anew. What a time limit has ended is not kept. Raises SandboxError and RepositoryError, and UsageError for a check that
        cannot be run `at_start` of a task, or that passes there whatever the tests say. A person who is there is asked once about each file
        that changed in a suspicious way.
        """
        deadline = time.monotonic() + seconds
        outcome = self._grade(checks, commit, deadline, at_start)
        return self._grade(checks, commit, deadline, at_start) if self.review.ask(outcome.suspicious) else outcome

    def _grade(self, checks: Sequence[str], commit: str, deadline: float, at_start: bool) -> Outcome:
        tree, undone = self.review.put_back(checks, commit)
        untouched = tree == self._start_tree  # twins would be asked about nobody's work
        key = self._key(tree, [*checks, "at the start"] if untouched else checks)
        with self._cache.lock(key):
            if kept := self._cache.get(key):
                outcome = self._compare(tree, kept, undone, checks, deadline)
                if outcome.passed or self._cache.is_own(key):
                    return replace(outcome, kept=not self._cache.is_own(key))
            runs = self._runner.run_with_twins(tree, checks, Mixtures if untouched else lambda: self._mixtures, deadline)
            if at_start:
                _refuse_missing(runs)
                self._refuse_deaf(tree, runs, checks, deadline)
            runs = self._run_unsteady_again(tree, runs, checks, deadline)
            outcome = self._compare(tree, runs, undone, checks, deadline)
            if outcome.passed and (deaf := self._find_deaf(tree, runs, checks, deadline)):
                runs = tuple(replace(run, deaf=place in deaf) for place, run in enumerate(runs))
                outcome = self._compare(tree, runs, undone, checks, deadline)
            if not any(run.exit_code == TIMED_OUT for run in runs):
                self._cache.put(key, runs, for_others=outcome.passed)
            return outcome

    @cached_property
    def _start_tree(self) -> str:
        return git.tree_of(self._root, self._start)

    @cached_property
    def _mixtures(self) -> Mixtures:
        """The twins of the tests at the start, which are the tests of every commit."""
        return mix_tests(self._root, self._start)

    def _run_unsteady_again(self, tree: str, runs: tuple[Run, ...], checks: Sequence[str], deadline: float) -> tuple[Run, ...]:
        """Run tests that passed once and failed once some more times. Those that then always pass had failed because of twins."""
        chance = self.review.depends_on_chance(tree)
        if not _are_unsteady(runs) and not (chance and any(run.tests and run.tests.code == 0 for run in runs)):
            return runs
        began, rounds = time.monotonic(), 0
        while rounds == 0 or (
            chance and rounds < _CHANCE_ROUNDS and time.monotonic() - began < _CHANCE_SECONDS and not _are_unsteady(runs)
        ):
            more = self._runner.run_again(tree, checks, REPEATS, deadline)
            runs = tuple(add_passes(run, [each[place] for each in more]) for place, run in enumerate(runs))
            rounds += 1
        return runs

    def _refuse_deaf(self, tree: str, runs: Sequence[Run], checks: Sequence[str], deadline: float) -> None:
        """Raise UsageError when all checks pass, and pass also when every test just fails: they cannot tell whether a task is done."""
        if any(run.tests or run.exit_code or never_runs_tests(run.check) for run in runs):
            return
        files, failing = self._end(checks, "fails")
        if (files or failing != list(checks)) and not any(self._runner.run_codes(tree, failing, files, deadline)):
            named = " and ".join(f"`{check}`" for check in checks)
            raise UsageError(f"{named}: passes before any work, and also when every test just fails; use a check that runs the tests")

    def _find_deaf(self, tree: str, runs: Sequence[Run], checks: Sequence[str], deadline: float) -> set[int]:
        """Return the places of the checks that only have an exit code, which no longer depends on the tests as it did at the start."""
        if all(run.tests or never_runs_tests(run.check) for run in runs):
            return set()
        start, plain = self._start_tree, [place for place, run in enumerate(runs) if run.tests is None]

        def run_codes(tree: str, written: _Rewritten) -> list[int]:
            files, rewritten = written
            is_other = files or rewritten != list(checks)
            return self._runner.run_codes(tree, rewritten, files, deadline) if is_other else []

        fails, inverse = self._end(checks, "fails"), self._invert(checks)
        codes = run_codes(tree, fails)
        deaf = {place for place in plain if codes and codes[place] == 0}
        if deaf:
            passing, failing = run_codes(start, self._end(checks, "passes")), run_codes(start, fails)
            deaf = {place for place in deaf if passing[place] == 0 != failing[place]}
        codes = run_codes(tree, inverse)
        agreeing = {place for place in plain if codes and codes[place]}
        if agreeing:
            honest = run_codes(start, inverse)
            agreeing = {place for place in agreeing if honest[place] == 0}
        return deaf | agreeing

    def _end(self, checks: Sequence[str], ending: Ending) -> _Rewritten:
        """Return tests, scripts and commands of which all assertions just fail, or just hold."""
        files = end_tests(self._root, self._start, ending, self.review.list_used_files(checks))
        return files, [end_command(check, ending) for check in checks]

    def _invert(self, checks: Sequence[str]) -> _Rewritten:
        """Return inverse twins of tests, scripts and commands."""
        files = invert_tests(self._root, self._start, self.review.list_used_files(checks))
        return files, [invert_command(self._root, self._start, check) for check in checks]

    def _compare(self, tree: str, runs: tuple[Run, ...], undone: Sequence[str], checks: Sequence[str], deadline: float) -> Outcome:
        start = self._start_runs(checks, deadline, known={tree: runs})
        if start and tree != self._start_tree and _are_disputed(runs, start):
            start = self._start_runs(checks, deadline, twins=True)
        known = {path for run in start if run.tests for path in run.tests.looks}
        looks = [(path, why) for run in runs if run.tests for path, why in run.tests.looks.items() if path not in known]
        exits = any(run.tests is None and not never_runs_tests(run.check) for run in runs)
        return grade_runs(runs, start, undone, self.review.find_suspicions(checks, tree, undone, looks, exits=exits))

    def _start_runs(
        self, checks: Sequence[str], deadline: float, known: Mapping[str, tuple[Run, ...]] | None = None, *, twins: bool = False
    ) -> tuple[Run, ...]:
        """Return the runs of the checks at the start, or () if none of them can run tests. `known` has runs by tree."""
        lists = any(map(lists_tests, checks)) or any(map(parse_pytest, split_checks(checks)))
        if all(map(never_runs_tests, checks)) or not (lists or self._mixtures.halves):
            return ()
        tree, key = self._start_tree, (tuple(checks), twins)
        if key not in self._at_start:
            mix = (lambda: self._mixtures) if twins else Mixtures
            runs = (known or {}).get(tree) or self._runner.run_with_twins(tree, checks, mix, deadline)
            if any(run.cut for run in runs):
                return runs
            self._at_start[key] = runs
        return self._at_start[key]

    def _key(self, tree: str, checks: Sequence[str]) -> str:
        return hashlib.sha256(json.dumps([tree, list(checks), self._image, _gate_version()]).encode()).hexdigest()


def _are_disputed(runs: Sequence[Run], start: Sequence[Run]) -> bool:
    """Whether tests may not be believed because of their twins, or of what was seen beside them, unless it was so at the start."""
    return any(
        now.tests.agreeing or now.tests.unreached or now.tests.unsteady or _saw_more(now.tests, before.tests or TestReport())
        for now, before in zip(runs, start, strict=True)
        if now.tests
    )


def _saw_more(now: TestReport, before: TestReport) -> bool:
    """Whether a run with twins has met with something suspicious that the run of the start has not."""
    return not (now.suspicious.items() <= before.suspicious.items() and now.looks.items() <= before.looks.items())


def _are_unsteady(runs: Sequence[Run]) -> bool:
    return any(run.tests and run.tests.unsteady for run in runs)


def _refuse_missing(runs: Sequence[Run]) -> None:
    """Raise UsageError for the first check that cannot be run: no work on the repository makes it pass."""
    for run in runs:
        if run.missing:
            why = f"{run.missing} is not in the sandbox or cannot be executed there (exit {run.exit_code})"
            line = suggest_image(run.missing)
            advice = f"correct the check, or set up a sandbox that has the program{line and f', as with `{line}` in codagent.toml'}"
            raise UsageError(f"the check `{run.check}` cannot be run: {why}; {advice}")


@functools.cache
def _gate_version() -> str:
    """Return a digest of the gate's own code. Results of another version of the gate are never reused."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
