"""Runs the checks of a repository on a commit, in a sandbox that the agent never had access to."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from codagent.errors import UsageError
from codagent.protocols import GateSandbox
from codagent.repository import git
from codagent.repository.gate.cache import Cache, open_cache
from codagent.repository.gate.commands.pytest_command import parse_pytest
from codagent.repository.gate.runs import TIMED_OUT, Runner, split_checks
from codagent.repository.gate.twins import Mixtures, mix_tests
from codagent.repository.gate.verdict import Run, add_passes, grade_runs
from codagent.types import Outcome

REPEATS = 3  # how many more times tests are run that passed once and failed once
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")


class Gates:
    """Grades commits by comparing them with the start commit."""

    def __init__(
        self,
        root: Path,
        start_commit: str,
        open_sandbox: Callable[[], GateSandbox],
        *,
        protect: Sequence[str] = (),
        image: str = "",
        cache: Path | None = None,
    ) -> None:
        """Prepare to grade.

        `image` identifies the image of the sandboxes. `cache` is a file with earlier results; None keeps results in memory only.
        """
        self._root, self._start = root, start_commit
        self._runner = Runner(root, start_commit, open_sandbox)
        self._protect, self._image = tuple(protect), image
        self._cache = open_cache(cache) if cache else Cache(None)
        self._at_start: dict[str, tuple[Run, ...]] = {}

    def grade(self, checks: Sequence[str], commit: str, *, seconds: float = math.inf, at_start: bool = False) -> Outcome:
        """Run the checks on `commit`, which may also be a tree. After `seconds`, the checks that have not run count as failed.

        A pass is kept for good, a failure for this process: it may have a cause that passes, like a machine under load, so another command
        judges anew. What a time limit has ended is not kept. Raises SandboxError and RepositoryError, and UsageError for a check that
        cannot be run `at_start` of a task.
        """
        deadline = time.monotonic() + seconds
        tree, undone = git.protected_tree(self._root, self._start, commit, (*self._protect, *self._protected_makefiles(checks)))
        key = self._key(tree, checks)
        with self._cache.lock(key):
            if kept := self._cache.get(key):
                outcome = self._compare(tree, kept, undone, checks, deadline)
                if outcome.passed or self._cache.is_own(key):
                    return replace(outcome, kept=not self._cache.is_own(key))
            runs = self._runner.run_with_twins(tree, checks, self._mixtures, deadline)
            if at_start:
                _refuse_missing(runs)
            runs = self._run_unsteady_again(tree, runs, checks, deadline)
            outcome = self._compare(tree, runs, undone, checks, deadline)
            if not any(run.exit_code == TIMED_OUT for run in runs):
                self._cache.put(key, runs, for_others=outcome.passed)
            return outcome

    @cached_property
    def _mixtures(self) -> Mixtures:
        """The twins of the tests at the start, which are the tests of every commit."""
        return mix_tests(self._root, self._start)

    def _run_unsteady_again(self, tree: str, runs: tuple[Run, ...], checks: Sequence[str], deadline: float) -> tuple[Run, ...]:
        """Run tests that passed once and failed once some more times. Those that then always pass had failed because of twins."""
        if not any(run.tests and run.tests.unsteady for run in runs):
            return runs
        more = self._runner.run_again(tree, checks, REPEATS, deadline)
        return tuple(add_passes(run, [each[place] for each in more]) for place, run in enumerate(runs))

    def _compare(self, tree: str, runs: tuple[Run, ...], undone: Sequence[str], checks: Sequence[str], deadline: float) -> Outcome:
        start = self._start_runs(checks, deadline, known={tree: runs})
        disputed = any(run.tests and (run.tests.agreeing or run.tests.unsteady) for run in runs)
        if disputed and start and git.tree_of(self._root, self._start) != tree:
            start = self._start_runs(checks, deadline, twins=True)
        return grade_runs(runs, start, undone)

    def _start_runs(
        self, checks: Sequence[str], deadline: float, known: Mapping[str, tuple[Run, ...]] | None = None, *, twins: bool = False
    ) -> tuple[Run, ...]:
        """Return the runs of the checks at the start, or () if none of them is pytest. `known` has runs by tree."""
        if not any(map(parse_pytest, split_checks(checks))):
            return ()
        tree = git.tree_of(self._root, self._start)
        key = self._key(tree, [*checks, *(["twins"] if twins else [])])
        if key not in self._at_start:
            mixtures = self._mixtures if twins else Mixtures()
            runs = (known or {}).get(tree) or self._runner.run_with_twins(tree, checks, mixtures, deadline)
            if any(run.cut for run in runs):
                return runs
            self._at_start[key] = runs
        return self._at_start[key]

    def _protected_makefiles(self, checks: Sequence[str]) -> tuple[str, ...]:
        """Return the names of make's files if a check uses make and there was one at the start. Without one, writing it may be the task."""
        there = set(git.list_files(self._root, self._start)) & set(_MAKEFILES)
        return _MAKEFILES if there and any(re.search(r"\bmake\b", check) for check in checks) else ()

    def _key(self, tree: str, checks: Sequence[str]) -> str:
        return hashlib.sha256(json.dumps([tree, list(checks), self._image, _gate_version()]).encode()).hexdigest()


def _refuse_missing(runs: Sequence[Run]) -> None:
    """Raise UsageError for the first check that cannot be run: no work on the repository makes it pass."""
    for run in runs:
        if run.missing:
            why = f"{run.missing} is not in the sandbox or cannot be executed there (exit {run.exit_code})"
            raise UsageError(f"the check `{run.check}` cannot be run: {why}; correct the check, or set up a sandbox that has the program")


@functools.cache
def _gate_version() -> str:
    """Return a digest of the gate's own code. Results of another version of the gate are never reused."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
