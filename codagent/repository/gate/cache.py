"""The results of checks, kept in memory and in a file of JSON Lines that several processes may append to."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from codagent.files import MAX_RECORD_BYTES, make_folder, open_plain, read_plain
from codagent.repository.gate.pytest_run import TestReport
from codagent.repository.gate.verdict import Run


class Cache:
    """Finds the runs of a tree again. `file` None means that they are kept in memory only."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._runs: dict[str, tuple[Run, ...]] = {}

    def get(self, key: str) -> tuple[Run, ...] | None:
        """Return the runs stored under `key`. Returns None when there are none."""
        if key not in self._runs and self._file is not None and os.path.lexists(self._file):
            self._load(self._file)
        return self._runs.get(key)

    def put(self, key: str, runs: Sequence[Run]) -> None:
        """Store `runs` under `key`."""
        self._runs[key] = tuple(runs)
        if self._file is not None:
            make_folder(self._file.parent)
            line = json.dumps({"key": key, "runs": [asdict(run) for run in runs]}).encode() + b"\n"
            descriptor = open_plain(self._file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            try:
                os.write(descriptor, line)  # in one call, so that lines of several processes do not mix
            finally:
                os.close(descriptor)

    def _load(self, file: Path) -> None:
        """Read the file. Lines that are incomplete or damaged are skipped."""
        for line in read_plain(file, max_bytes=MAX_RECORD_BYTES).splitlines():
            try:
                entry = json.loads(line)
                self._runs[entry["key"]] = tuple(_read_run(**run) for run in entry["runs"])
            except (ValueError, KeyError, TypeError, RecursionError):
                continue


def _read_run(tests: dict[str, object] | None, **rest: object) -> Run:
    return Run(tests=None if tests is None else TestReport(**tests), **rest)  # type: ignore[arg-type]
