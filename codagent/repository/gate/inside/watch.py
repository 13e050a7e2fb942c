"""Watches for cheating while tests run."""

from __future__ import annotations

import ast
import builtins
import hashlib
import os
import re
import sys
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.assertion import rewrite

from .agreement import COMPARE, COMPARISONS, ComparisonHook, find_agreeable, is_true


class Watch:
    """Reports what an honest program never does.

    That is: agreeing with every comparison, writing tests while they run, loading plugins into pytest, and replacing parts of pytest,
    unittest or the builtins.
    """

    def __init__(self, journal: Callable[..., None], workspace: str, tests: re.Pattern[str]) -> None:
        self._journal, self._workspace, self._tests = journal, workspace, tests
        self._sources = dict(_hash_sources(workspace))
        self._reported: set[tuple[str, str]] = set()
        self._originals: list[tuple[Any, dict[str, Any]]] = []
        self.test, self.file = "", ""  # the running test, and its file

    def install(self) -> None:
        """Start watching. Assertions of the workspace are rewritten from now on, so that their comparisons pass through `compare`."""
        rewrite_asserts, asserter = rewrite.rewrite_asserts, unittest.TestCase._getAssertEqualityFunc

        def rewrite_and_hook(mod: ast.Module, source: bytes, module_path: str | None = None, config: Any = None) -> None:
            rewrite_asserts(mod, source, module_path, config)
            if name := self._inside(module_path):
                if self._sources.get(name) != hashlib.sha256(source).digest():
                    self.report(name, "was written while the tests ran")
                ComparisonHook().visit(mod)

        def equality(case: unittest.TestCase, first: Any, second: Any) -> Any:
            self.compare(True, first, "Eq", second)
            return asserter(case, first, second)

        rewrite.rewrite_asserts = rewrite_and_hook
        rewrite._read_pyc = lambda *_, **__: None  # compiled modules were not checked, so they are compiled again
        unittest.TestCase._getAssertEqualityFunc = equality  # type: ignore[method-assign, assignment]
        setattr(builtins, COMPARE, self.compare)
        self._originals = [(owner, dict(vars(owner))) for owner in (builtins, unittest.TestCase, pytest)]

    def report(self, name: str, why: str) -> None:
        """Write something suspicious into the journal, once."""
        if (name, why) not in self._reported:
            self._reported.add((name, why))
            self._journal("suspicious", id=name, why=why)

    def compare(self, result: Any, left: Any, name: str, right: Any) -> Any:
        """Return `result`. If the two sides agreed, report an object among them that agrees with everything."""
        if is_true(lambda: result):
            ask_left, ask_right = COMPARISONS[name]
            for kind in (find_agreeable(left, ask_left), find_agreeable(right, ask_right)):
                if kind is not None and not self._belongs_to_tests(kind):
                    self.report(self.test, f"an object of class {kind.__name__} agrees with anything that it is compared with")
        return result

    def check_replaced(self) -> None:
        """Report functions that were replaced. Called after each test and its cleaning up."""
        for owner, stood in self._originals:
            for name in [name for name, value in stood.items() if callable(value) and vars(owner).get(name) is not value]:
                self.report(f"{owner.__name__}.{name}", "was replaced")

    def check_plugin(self, plugin: object) -> None:
        """Report a plugin that comes from the workspace, unless it is a conftest.py."""
        name = self._inside(getattr(plugin, "__file__", None) or _file_of(type(plugin)))
        if name and Path(name).name != "conftest.py":
            self.report(name, "is a plugin of pytest")

    def _inside(self, path: object) -> str | None:
        """Return the path relative to the workspace. Returns None for a path outside of it."""
        text = str(path)
        return text[len(self._workspace) + 1 :] if text.startswith(self._workspace + os.sep) else None

    def _belongs_to_tests(self, kind: type) -> bool:
        """Whether the tests define a class, or a library does and the test's file names it, as with ANY of unittest.mock."""
        code = getattr(getattr(kind, "__eq__", None), "__code__", None)
        ours = [name for path in (_file_of(kind), getattr(code, "co_filename", "")) if (name := self._inside(path))]
        if ours:
            return all(self._tests.search(name.replace(os.sep, "/")) for name in ours)
        word = re.compile(rf"\b{re.escape(kind.__name__.strip('_'))}\b")
        return Path(self.file).is_file() and word.search(Path(self.file).read_text(errors="replace")) is not None


def _hash_sources(workspace: str) -> Iterator[tuple[str, bytes]]:
    for folder, folders, files in os.walk(workspace):
        folders[:] = [name for name in folders if name not in (".git", "node_modules")]
        for file in (Path(folder, name) for name in files if name.endswith(".py")):
            if file.is_file():
                yield str(file)[len(workspace) + 1 :], hashlib.sha256(file.read_bytes()).digest()


def _file_of(kind: type) -> str:
    return str(getattr(sys.modules.get(kind.__module__), "__file__", None) or "")
