"""Watches for cheating while tests run."""

from __future__ import annotations

import ast
import builtins
import hashlib
import sys
import unittest
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from _pytest.assertion import rewrite

from .audit import Audit, Workspace
from .introspection import Introspection
from .reading import DataReading, Reading, hide_answers
from .sources import Sources


class Watch:
    """Reports what an honest program never does.

    That is: writing tests while they run, loading plugins into pytest, and replacing parts of pytest, unittest or the builtins.
    """

    def __init__(self, journal: Callable[..., None], workspace: Workspace, sources: Sources) -> None:
        self._journal, self._workspace, self._sources = journal, workspace, sources
        self._reported: set[tuple[str, str]] = set()
        self._audit = Audit()
        self.reading = Reading(self.report, self.report_look, workspace)
        self.reading.watch(self._audit)  # it counts what the next lines open, too
        self.introspection = Introspection(self.report_look, workspace, self._audit)
        self._digests = {path: hashlib.sha256(file.read_bytes()).digest() for path, file in workspace.list_modules()}
        self._originals: list[tuple[Any, dict[str, Any]]] = []
        self._runner: list[tuple[Any, dict[str, Any]]] = []

    def install(self) -> None:
        """Start watching."""
        DataReading(self.report_look, self._workspace).watch(self._audit)
        hide_answers(self._workspace)
        self.introspection.watch()
        rewrite_asserts, read_compiled = rewrite.rewrite_asserts, rewrite._read_pyc

        def check_and_rewrite(mod: ast.Module, source: bytes, module_path: str | None = None, config: Any = None) -> None:
            name = self._workspace.locate(module_path)
            if name and self._digests.get(name) != hashlib.sha256(source).digest():
                self.report(name, "was written while the tests ran")
            if twins := self._sources.parse(module_path):
                mod.body = twins.body
            rewrite_asserts(mod, source, module_path, config)

        def read_installed(source: Any, *others: Any, **options: Any) -> Any:  # those of the workspace were not checked
            return None if self._workspace.contains(str(source)) else read_compiled(source, *others, **options)

        self._sources.install()
        rewrite.rewrite_asserts = check_and_rewrite
        rewrite._read_pyc = read_installed
        self._originals = [
            (owner, {k: v for k, v in vars(owner).items() if callable(v)}) for owner in (builtins, unittest.TestCase, pytest)
        ]

    def report(self, name: str, why: str, kind: str = "suspicious") -> None:
        """Write something suspicious into the journal, once."""
        if (name, why) not in self._reported:
            self._reported.add((name, why))
            self._journal(kind, id=name, why=why)

    def report_look(self, name: str, why: str) -> None:
        """Write something into the journal, once, that a person has to look at."""
        self.report(name, why, "look")

    def remember_runner(self) -> None:
        """Remember the functions of pytest as its plugins left them, and let nobody import the gate's own modules any more.

        Called before a conftest.py may import the code under test.
        """
        for name in [name for name in sys.modules if name.partition(".")[0] == __name__.partition(".")[0]]:
            del sys.modules[name]
        modules = [module for name, module in sorted(sys.modules.items()) if name.startswith("_pytest.")]
        classes = [c for m in modules for c in vars(m).values() if isinstance(c, type) and c.__module__ == m.__name__]
        self._runner = [(owner, {k: v for k, v in vars(owner).items() if _is_function(v)}) for owner in (*modules, *classes)]

    def check_replaced(self, *, all_of_pytest: bool) -> None:
        """Report functions that were replaced. Called after each test and its cleaning up; after the last of a file, `all_of_pytest`.

        Plugins may replace functions of pytest's own modules.
        """
        for owner, name in _list_replaced(self._originals):
            self.report(f"{owner.__name__}.{name}", "was replaced")
        for owner, name in _list_replaced(self._runner if all_of_pytest else []):
            code = getattr(vars(owner).get(name), "__code__", None)
            if code and (self._workspace.locate(code.co_filename) or not Path(code.co_filename).exists()):
                self.report(f"{owner.__name__}.{name}", "was replaced")

    def check_foreign(self) -> None:
        """Report functions of the workspace that stand in the place of functions of other packages. Called after the last test."""
        loaded = [m for m in list(sys.modules.values()) if type(m) is ModuleType and not self._workspace.locate(vars(m).get("__file__"))]
        classes = [c for m in loaded for c in list(vars(m).values()) if isinstance(c, type) and c.__module__ == m.__name__]
        owners: list[Any] = [*loaded, *classes]
        for owner in owners:
            for name, value in list(vars(owner).items()):
                if isinstance(value, FunctionType) and (path := self._workspace.locate(value.__globals__.get("__file__"))):
                    self.report_look(path, f"stands in the place of {owner.__name__}.{name}")

    def check_shadowed(self) -> None:
        """Report modules of the workspace that have the name of an installed one. Called when the tests were collected."""
        elsewhere = [path for path in sys.path if path and not self._workspace.contains(path)]
        for name, module in list(sys.modules.items()):
            path = self._workspace.locate(getattr(module, "__file__", None))
            if path and "." not in name and PathFinder.find_spec(name, elsewhere) is not None:
                self.report_look(path, f"takes the place of {name}, which is installed")

    def check_plugin(self, plugin: object) -> None:
        """Report a plugin that comes from the workspace, unless it is a conftest.py."""
        name = self._workspace.locate(getattr(plugin, "__file__", None) or _file_of(type(plugin)))
        if name and Path(name).name != "conftest.py":
            self.report(name, "is a plugin of pytest")


def _list_replaced(originals: list[tuple[Any, dict[str, Any]]]) -> list[tuple[Any, str]]:
    return [
        (owner, name) for owner, stood in originals for now in [vars(owner)] for name, value in stood.items() if now.get(name) is not value
    ]


def _is_function(value: object) -> bool:
    return isinstance(value, (FunctionType, classmethod, staticmethod, property))


def _file_of(kind: type) -> str:
    return str(getattr(sys.modules.get(kind.__module__), "__file__", None) or "")
