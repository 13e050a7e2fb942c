"""Watches for cheating while tests run."""

from __future__ import annotations

import ast
import builtins
import hashlib
import os
import sys
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.assertion import rewrite


class Watch:
    """Reports what an honest program never does.

    That is: writing tests while they run, loading plugins into pytest, and replacing parts of pytest, unittest or the builtins.
    """

    def __init__(self, journal: Callable[..., None], workspace: str) -> None:
        self._journal, self._workspace = journal, workspace
        self._sources = dict(_hash_sources(workspace))
        self._reported: set[tuple[str, str]] = set()
        self._originals: list[tuple[Any, dict[str, Any]]] = []

    def install(self) -> None:
        """Start watching."""
        rewrite_asserts = rewrite.rewrite_asserts

        def check_and_rewrite(mod: ast.Module, source: bytes, module_path: str | None = None, config: Any = None) -> None:
            name = self._inside(module_path)
            if name and self._sources.get(name) != hashlib.sha256(source).digest():
                self.report(name, "was written while the tests ran")
            rewrite_asserts(mod, source, module_path, config)

        rewrite.rewrite_asserts = check_and_rewrite
        rewrite._read_pyc = lambda *_, **__: None  # compiled modules were not checked, so they are compiled again
        self._originals = [(owner, dict(vars(owner))) for owner in (builtins, unittest.TestCase, pytest)]

    def report(self, name: str, why: str) -> None:
        """Write something suspicious into the journal, once."""
        if (name, why) not in self._reported:
            self._reported.add((name, why))
            self._journal("suspicious", id=name, why=why)

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


def _hash_sources(workspace: str) -> Iterator[tuple[str, bytes]]:
    for folder, folders, files in os.walk(workspace):
        folders[:] = [name for name in folders if name not in (".git", "node_modules")]
        for file in (Path(folder, name) for name in files if name.endswith(".py")):
            if file.is_file():
                yield str(file)[len(workspace) + 1 :], hashlib.sha256(file.read_bytes()).digest()


def _file_of(kind: type) -> str:
    return str(getattr(sys.modules.get(kind.__module__), "__file__", None) or "")
