"""Runs pytest, and counts in how many tests that failed and that passed each function of the repository ran, and each of its lines.

What runs while tests are collected, as when modules are imported, counts as run by all of them.

This file runs in the sandbox as the `__main__.py` of a folder, with the repository's Python and without codagent. It leaves `ran.json`
beside itself: how many tests failed, and rows of path, first line and name of the function, the two counts, and its lines with theirs.
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

_LINES = 300  # that are noted of a function in a test: a loop would take long
_CALL = 0  # in the place of a line: the function was called


class Tracer:
    """A plugin of pytest that notes which functions each test calls, and which of their lines run."""

    def __init__(self, root: str) -> None:
        self._root = os.path.join(os.path.realpath(root), "")  # noqa: PTH118 - pathlib is slow to import
        self._seen: set[tuple[CodeType, int]] = set()  # functions, each with a line
        self._noted: Counter[CodeType] = Counter()  # lines, in this test
        self._failed: Counter[tuple[CodeType, int]] = Counter()
        self._passed: Counter[tuple[CodeType, int]] = Counter()
        self._imported: set[tuple[CodeType, int]] = set()
        self._failures = self._passes = 0
        self._printing: FrameType | None = None  # a `__repr__` that pytest has called, to show why a test fails

    @pytest.hookimpl(hookwrapper=True)
    def pytest_collection(self) -> Generator[None, Any, None]:
        """Trace the imports."""
        sys.settrace(self._note_call)
        try:
            yield
        finally:
            sys.settrace(None)
            self._imported = self._seen

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self) -> Generator[None, Any, None]:
        """Trace a test."""
        self._seen, self._noted = set(), Counter()
        threading.settrace(self._note_all)
        sys.settrace(self._note_all)
        try:
            yield
        finally:
            sys.settrace(None)
            threading.settrace(None)  # None ends it

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
        """Count what a test has run. Only its report knows of the failures of unittest's test cases, which are not raised."""
        outcome = yield
        if call.when == "call":
            report = outcome.get_result()
            self._passes += report.passed
            self._failures += report.failed
            if not report.skipped:
                (self._passed if report.passed else self._failed).update(self._seen)

    def write(self, file: str) -> None:
        """Write what ran in tests that failed, and before all tests."""
        counts = dict.fromkeys(self._imported, (self._failures, self._passes))
        counts |= {place: (count, self._passed[place]) for place, count in self._failed.items() if place not in self._imported}
        lines: dict[CodeType, list[tuple[int, int, int]]] = {}
        for (code, line), both in counts.items():
            if line != _CALL:
                lines.setdefault(code, []).append((line, *both))
        rows = [
            (
                code.co_filename[len(self._root) :],
                code.co_firstlineno,
                getattr(code, "co_qualname", code.co_name),
                *both,
                lines.get(code, []),
            )
            for (code, line), both in counts.items()
            if line == _CALL and self._is_own(code) and code.co_flags & CO_OPTIMIZED  # no module, no class
        ]
        with open(file, "w", encoding="utf-8") as opened:  # noqa: PTH123
            json.dump({"failures": self._failures, "ran": rows}, opened)

    def _note_call(self, frame: FrameType, event: str, _: Any) -> Any:
        """Note a call. Returns what is to hear of the rest of the function; None: nothing is."""
        code = frame.f_code
        if event != "call" or self._printing is not None:
            return None
        if code.co_name == "__repr__" and not (frame.f_back and self._is_own(frame.f_back.f_code)):
            self._printing = frame
            return self._wait_for_end
        self._seen.add((code, _CALL))
        return None

    def _note_all(self, frame: FrameType, event: str, _: Any) -> Any:
        """Note a call, and the lines of a function of the repository."""
        code, heard = frame.f_code, self._note_call(frame, event, _)
        is_noted = self._printing is None and self._noted[code] < _LINES and self._is_own(code)
        return self._note_line if is_noted else heard

    def _note_line(self, frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if event == "line" and self._printing is None:
            self._seen.add((code, frame.f_lineno))
            self._noted[code] += 1
            frame.f_trace_lines = self._noted[code] < _LINES
        return self._note_line

    def _wait_for_end(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "return" and self._printing is frame:
            self._printing = None
        return self._wait_for_end

    def _is_own(self, code: CodeType) -> bool:
        return code.co_filename.startswith(self._root)


if __name__ == "__main__":
    beside, sys.path[0] = sys.path[0], os.getcwd()  # noqa: PTH109
    tracer = Tracer(sys.path[0])
    code = pytest.main(sys.argv[1:], plugins=[tracer])
    tracer.write(os.path.join(beside, "ran.json"))  # noqa: PTH118
    sys.exit(code)
