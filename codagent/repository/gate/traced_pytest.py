"""Runs pytest, and counts in how many tests that failed and that passed each function of the repository ran.

This file runs in the sandbox as the `__main__.py` of a folder, with the repository's Python and without codagent. It leaves `ran.json`
beside itself: how many tests failed, and rows of path, first line of the function, and the two counts.
"""

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Generator
from types import CodeType, FrameType
from typing import Any

import pytest


class Tracer:
    """A plugin of pytest that notes which functions each test calls."""

    def __init__(self, root: str) -> None:
        self._root = os.path.join(os.path.realpath(root), "")  # noqa: PTH118 - pathlib is slow to import
        self._seen: set[CodeType] = set()
        self._failed: Counter[CodeType] = Counter()
        self._passed: Counter[CodeType] = Counter()
        self._failures = 0

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self) -> Generator[None, Any, None]:
        """Trace a test."""
        self._seen = set()
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        try:
            outcome = yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # None ends it
        error = outcome.excinfo and outcome.excinfo[0]
        if error is None:
            self._passed.update(self._seen)
        elif not issubclass(error, pytest.skip.Exception | pytest.xfail.Exception):
            self._failures += 1
            self._failed.update(self._seen)

    def write(self, file: str) -> None:
        """Write what ran in tests that failed."""
        rows = [
            (code.co_filename[len(self._root) :], code.co_firstlineno, count, self._passed[code])
            for code, count in self._failed.items()
            if code.co_filename.startswith(self._root) and code.co_name != "<module>"
        ]
        with open(file, "w", encoding="utf-8") as opened:  # noqa: PTH123
            json.dump({"failures": self._failures, "ran": rows}, opened)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            self._seen.add(frame.f_code)


if __name__ == "__main__":
    beside, sys.path[0] = sys.path[0], os.getcwd()  # noqa: PTH109
    tracer = Tracer(sys.path[0])
    code = pytest.main(sys.argv[1:], plugins=[tracer])
    tracer.write(os.path.join(beside, "ran.json"))  # noqa: PTH118
    sys.exit(code)
