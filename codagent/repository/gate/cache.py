"""What checks did on a tree, kept in memory and, if they passed and there is a file for it, as JSON Lines for other commands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from threading import Lock

from codagent.files import make_folder
from codagent.repository.gate.pytest_run import TestReport
from codagent.repository.gate.verdict import Run
from codagent.store import jsonl


@cache
def open_cache(file: Path) -> Cache:
    """Return this process's cache for `file`. The loops of a group share it, and so judge their common start once."""
    return Cache(file)


class Cache:
    """The runs of checks by key. `file` None: they are forgotten with this object.

    Several processes may append to the file, and read what the others have appended. Each line has a checksum of its own. A damaged line
    counts as missing, so its checks are run again.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._runs: dict[str, tuple[Run, ...]] = {}
        self._own: set[str] = set()
        self._locks: dict[str, Lock] = {}

    def lock(self, key: str) -> Lock:
        """Return a lock for whoever judges what `key` stands for. Another thread that needs the same then finds it stored."""
        return self._locks.setdefault(key, Lock())

    def get(self, key: str) -> tuple[Run, ...] | None:
        """Return the runs stored under `key`. Returns None when there are none."""
        if key not in self._runs and self._file is not None and os.path.lexists(self._file):
            self._load(self._file)
        return self._runs.get(key)

    def is_own(self, key: str) -> bool:
        """Whether this process has stored the runs under `key`, and not an earlier command."""
        return key in self._own

    def put(self, key: str, runs: Sequence[Run], *, for_others: bool) -> None:
        """Store `runs` under `key`, in the file only `for_others`."""
        self._runs[key] = tuple(runs)
        self._own.add(key)
        if for_others and self._file is not None:
            make_folder(self._file.parent)
            with jsonl.open_to_append(self._file) as file:
                jsonl.append(file, {"key": key, "runs": [asdict(run) for run in runs]})

    def _load(self, file: Path) -> None:
        """Read the file. Lines that are incomplete or damaged are skipped."""
        for line in jsonl.read_lines(file):
            try:
                entry, _ = jsonl.parse(line, 0)
                self._runs.setdefault(entry["key"], tuple(_read_run(**run) for run in entry["runs"]))
            except (ValueError, KeyError, TypeError):
                continue


def _read_run(tests: dict[str, object] | None, **rest: object) -> Run:
    return Run(tests=None if tests is None else TestReport(**tests), **rest)  # type: ignore[arg-type]
