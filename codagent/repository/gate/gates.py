"""Runs the checks of a repository on a commit, in a sandbox that the agent never had access to."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from codagent.errors import UsageError
from codagent.protocols import GateSandbox, Sandbox
from codagent.repository import git
from codagent.repository.gate.cache import Cache, open_cache
from codagent.repository.gate.program import find_missing_program
from codagent.repository.gate.pytest_command import parse_pytest, split_check
from codagent.repository.gate.pytest_run import run_tests
from codagent.repository.gate.verdict import Run, grade_runs
from codagent.settings.images import suggest_image
from codagent.text import format_result
from codagent.types import CommandResult, Outcome, Profile

CHECK_SECONDS = 600.0
TIMED_OUT = 124  # the exit code of a command that a time limit has ended
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_BRIEF = Profile(output_lines=60, output_bytes=6_000)


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
        self._root, self._start, self._open_sandbox = root, start_commit, open_sandbox
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
                outcome = grade_runs(kept, self._start_runs(checks, deadline, known={tree: kept}), undone)
                if outcome.passed or self._cache.is_own(key):
                    return replace(outcome, kept=not self._cache.is_own(key))
            runs = self._run_checks(tree, checks, deadline)
            if at_start:
                _refuse_missing(runs)
            outcome = grade_runs(runs, self._start_runs(checks, deadline, known={tree: runs}), undone)
            if not any(run.exit_code == TIMED_OUT for run in runs):
                self._cache.put(key, runs, for_others=outcome.passed)
            return outcome

    def _start_runs(self, checks: Sequence[str], deadline: float, known: Mapping[str, tuple[Run, ...]] | None = None) -> tuple[Run, ...]:
        """Return the runs of the checks at the start, or () if none of them is pytest. `known` has runs by tree."""
        if not any(parse_pytest(part) for check in checks for part in split_check(check)):
            return ()
        tree = git.tree_of(self._root, self._start)
        key = self._key(tree, checks)
        if key not in self._at_start:
            runs = (known or {}).get(tree) or self._run_checks(tree, checks, deadline)
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

    def _run_checks(self, tree: str, checks: Sequence[str], deadline: float) -> tuple[Run, ...]:
        commit = git.commit(self._root, tree, self._start, "what the checks run on", trailers={})
        with closing(self._open_sandbox()) as sandbox:
            git.copy_in(sandbox, git.pack(self._root, commit))
            parts = [part for check in checks for part in split_check(check)]
            return tuple(_run_one(sandbox, part, deadline - time.monotonic()) for part in parts)


def run_check(sandbox: Sandbox, check: str, *, seconds: float = CHECK_SECONDS) -> CommandResult:
    """Run one check at the repository's root, for at most `seconds` and at most CHECK_SECONDS.

    Only a hint: in the agent's own sandbox, the agent can forge the exit code.
    """
    return sandbox.run(_fail_in_pipes(check), timeout=_limit_seconds(seconds))


def try_checks(sandbox: Sandbox, checks: Sequence[str], profile: Profile, *, seconds_left: Callable[[], float]) -> tuple[str, bool]:
    """Run the checks in the agent's own sandbox, up to the first that fails. Returns what they print, and whether all pass."""
    output = []
    for check in checks:
        result = run_check(sandbox, check, seconds=seconds_left())
        output.append(f"$ {check}\n{format_result(result, profile)}")
        if result.exit_code:
            return "\n".join(output), False
    return "\n".join(output), bool(output)


def _refuse_missing(runs: Sequence[Run]) -> None:
    """Raise UsageError for the first check that cannot be run: no work on the repository makes it pass."""
    for run in runs:
        if run.missing:
            why = f"{run.missing} is not in the sandbox or cannot be executed there (exit {run.exit_code})"
            line = suggest_image(run.missing)
            advice = f"correct the check, or set up a sandbox that has the program{line and f', as with `{line}` in codagent.toml'}"
            raise UsageError(f"the check `{run.check}` cannot be run: {why}; {advice}")


def _run_one(sandbox: GateSandbox, check: str, seconds: float) -> Run:
    if seconds <= 0:
        return Run(check, TIMED_OUT, "there was no time left to run it", cut=True)
    pytest, tests = parse_pytest(check), None
    if pytest is None:
        result = sandbox.run_attested(_fail_in_pipes(check), timeout=_limit_seconds(seconds))
    else:
        result, tests = run_tests(sandbox, pytest, seconds=_limit_seconds(seconds))
    missing = find_missing_program(sandbox, check, result.exit_code)
    return Run(check, result.exit_code, format_result(result, _BRIEF), tests, missing, cut=result.timed_out and seconds < CHECK_SECONDS)


def _fail_in_pipes(check: str) -> str:
    """Make a pipe fail when any of its commands does, and not the last alone. A check may switch that off."""
    return f"set -o pipefail\n{check}"


def _limit_seconds(seconds: float) -> float:
    return max(0.1, min(seconds, CHECK_SECONDS))


@functools.cache
def _gate_version() -> str:
    """Return a digest of the gate's own code. Results of another version of the gate are never reused."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
