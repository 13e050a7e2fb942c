"""Runs pytest, and counts in how many tests that failed and that passed each function of the repository ran.

What runs while tests are collected, as when modules are imported, counts as run by all of them.

This file runs in the sandbox as the `__main__.py` of a folder, with the repository's Python and without codagent. It leaves `ran.json`
beside itself: how many tests failed, and rows of path, first line and name of the function, and the two counts.
"""

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Generator
from inspect import CO_OPTIMIZED
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
        self._imported: set[CodeType] = set()
        self._failures = self._passes = 0
        self._printing: FrameType | None = None  # a `__repr__` that pytest has called, to show why a test fails

    @pytest.hookimpl(hookwrapper=True)
    def pytest_collection(self) -> Generator[None, Any, None]:
        """Trace the imports."""
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)
            self._imported = self._seen

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
            self._passes += 1
            self._passed.update(self._seen)
        elif not issubclass(error, pytest.skip.Exception | pytest.xfail.Exception):
            self._failures += 1
            self._failed.update(self._seen)

    def write(self, file: str) -> None:
        """Write what ran in tests that failed, and before all tests."""
        counts = dict.fromkeys(self._imported, (self._failures, self._passes))
        counts |= {code: (count, self._passed[code]) for code, count in self._failed.items() if code not in self._imported}
        rows = [
            (code.co_filename[len(self._root) :], code.co_firstlineno, getattr(code, "co_qualname", code.co_name), *both)
            for code, both in counts.items()
            if self._is_own(code) and code.co_flags & CO_OPTIMIZED  # no module, no class
        ]
        with open(file, "w", encoding="utf-8") as opened:  # noqa: PTH123
            json.dump({"failures": self._failures, "ran": rows}, opened)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if self._printing is frame and event == "return":
            self._printing = None
        elif event == "call" and self._printing is None:
            if frame.f_code.co_name == "__repr__" and not (frame.f_back and self._is_own(frame.f_back.f_code)):
                self._printing = frame
            else:
                self._seen.add(frame.f_code)

    def _is_own(self, code: CodeType) -> bool:
        return code.co_filename.startswith(self._root)


if __name__ == "__main__":
    beside, sys.path[0] = sys.path[0], os.getcwd()  # noqa: PTH109
    tracer = Tracer(sys.path[0])
    code = pytest.main(sys.argv[1:], plugins=[tracer])
    tracer.write(os.path.join(beside, "ran.json"))  # noqa: PTH118
    sys.exit(code)
