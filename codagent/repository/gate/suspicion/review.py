"""Reviews the change that is judged: puts the files back that decide about it, and finds what a person has to look at."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

from codagent.repository import git
from codagent.repository.gate.commands.used_files import find_used_files
from codagent.repository.gate.suspicion.cases import KnownCases, read_cases
from codagent.repository.gate.suspicion.chosen import find_chosen
from codagent.repository.gate.suspicion.doctests import find_changed_doctests, run_doctests
from codagent.repository.gate.suspicion.expected import Expectations, read_expectations
from codagent.repository.gate.suspicion.reach import Change, depends_on_chance, find_reaches, list_code, list_test_names
from codagent.repository.gate.suspicion.repeated import find_repeated

_OUTPUTS = (".txt", ".out", ".json", ".csv", ".expected", ".golden")
_TEXTS = (".md", ".rst")


@dataclass(frozen=True, slots=True)
class FileRules:
    """What a person says about files, in globs."""

    protect: tuple[str, ...] = ()  # these are put back as they were at the start
    allow: tuple[str, ...] = ()  # these may change in ways that a person would otherwise have to look at
    ask: Callable[[Sequence[str]], bool] | None = None  # shows what is suspicious, and tells whether it may be; None: nobody is there


class Review:
    """Compares commits with the start commit."""

    def __init__(self, root: Path, start_commit: str, rules: FileRules) -> None:
        self._root, self._start, self._allow, self._protect, self._ask = root, start_commit, rules.allow, rules.protect, rules.ask
        self._asked: set[str] = set()  # the files that a person was asked about
        self._expectations: dict[tuple[str, ...], Expectations] = {}

    def put_back(self, checks: Sequence[str], commit: str) -> tuple[str, tuple[str, ...]]:
        """Return the tree that is judged, in which what decides is as it was at the start, and the paths that this changed back."""
        deciding = (*self.list_used_files(checks), *self._read_expectations(checks).helpers)
        protect = [*self._protect, *(path for path in deciding if not self._is_allowed(path))]
        return git.protected_tree(self._root, self._start, commit, protect)

    def find_suspicions(
        self, checks: Sequence[str], tree: str, undone: Sequence[str], looks: Iterable[tuple[str, str]] = (), *, exits: bool = False
    ) -> list[str]:
        """Return what a person should look at before a pass counts, without the files that may change so.

        `tree` and `undone` are what `put_back` returned. `looks` are paths, each with what its code did while it was tested. `exits` says
        whether a check that may run tests has only an exit code.
        """
        changes = [change for change in self._read_changes(tree) if not self._is_allowed(change[0])]
        changed, paths = {path for path, _, _ in changes}, git.list_files(self._root, self._start)
        code, modules = list_code(changes), git.list_modules([*git.list_files(self._root, tree), *paths])
        return [
            *find_reaches(changes, modules, self._test_names, exits=exits),
            *self._read_expectations(checks).find_changed(changes),
            *find_repeated(code, self._cases),
            *find_chosen(code, self._cases),
            *(find_changed_doctests(changes) if run_doctests(checks, paths, self._read_start) else ()),
            *(f"{path}: names {used}, which the check compares with" for used, path in self._find_namers(checks, changes)),
            *(f"{path}: the check uses this file" for path in sorted({*self.list_used_files(checks)}.intersection(undone))),
            *(f"{path}: {why}" for path, why in sorted(set(looks)) if path in changed),
        ]

    def _find_namers(self, checks: Sequence[str], changes: Iterable[Change]) -> Iterator[tuple[str, str]]:
        """Yield the outputs that checks expect, each with the code that names it as it did not before."""
        expected = [path for path in self.list_used_files(checks) if path.endswith(_OUTPUTS)]
        for path, before, now in changes:
            names = [used for used in expected if used != path and (name := used.rpartition("/")[2].encode()) in now and name not in before]
            yield from ((used, path) for used in names if not path.endswith(_TEXTS))

    def ask(self, suspicious: Sequence[str]) -> bool:
        """Ask the person who is there, once about each file. Returns whether the changes may be; the files are then allowed."""
        files = {line.partition(":")[0] for line in suspicious}
        if self._ask is None or files <= self._asked:
            return False
        self._asked |= files
        allowed = self._ask(suspicious)
        if allowed:
            self._allow = (*self._allow, *map(glob.escape, sorted(files)))
        return allowed

    def depends_on_chance(self, tree: str) -> bool:
        """Whether the change brings in what is another one in each run."""
        return depends_on_chance(self._read_changes(tree))

    def list_used_files(self, checks: Sequence[str]) -> tuple[str, ...]:
        """Return the files that the checks name and that decide about them."""
        return find_used_files(checks, git.list_files(self._root, self._start), self._read_start)

    @cached_property
    def _tests(self) -> dict[str, bytes]:
        """The sources of the tests, by path."""
        paths = git.list_files(self._root, self._start)
        return {path: self._read_start(path) for path in paths if path.endswith(".py") and git.TESTS.search(path)}

    @cached_property
    def _test_names(self) -> frozenset[str]:
        return frozenset(name for path, source in self._tests.items() for name in list_test_names(path, source))

    @cached_property
    def _cases(self) -> KnownCases:
        return read_cases(self._tests.values())

    def _read_expectations(self, checks: Sequence[str]) -> Expectations:
        scripts = self.list_used_files(checks)
        if scripts not in self._expectations:
            self._expectations[scripts] = read_expectations(git.list_files(self._root, self._start), self._read_start, scripts)
        return self._expectations[scripts]

    def _is_allowed(self, path: str) -> bool:
        return any(fnmatch(path, pattern) for pattern in self._allow)

    def _read_changes(self, tree: str) -> list[Change]:
        return git.read_changes(self._root, self._start, tree)

    def _read_start(self, path: str) -> bytes:
        return git.read_file(self._root, self._start, path)
