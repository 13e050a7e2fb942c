"""Puts twins in the place of tests: what the host sends for test files, and doctests that expect something else.

Nothing on the disk tells a twin from its test.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from os.path import realpath
from typing import Any

from .audit import Workspace


class Sources:
    """The sources that stand in the place of files: by path, a text and the line at which each of its statements counts as standing.

    A list of another length, as of another version of Python, leaves each statement where it is.
    """

    def __init__(self, workspace: Workspace, sources: dict[str, tuple[str, list[int]]]) -> None:
        self._workspace, self._sources = workspace, sources

    def install(self) -> None:
        """Let modules that pytest does not rewrite be compiled from these sources, too."""
        source_to_code = SourceFileLoader.source_to_code

        def compile_other(loader: Any, data: Any, path: Any, **options: Any) -> Any:
            return source_to_code(loader, self.parse(path) or data, path, **options)

        SourceFileLoader.source_to_code = compile_other  # type: ignore[method-assign, assignment]

    def parse(self, path: object) -> ast.Module | None:
        """Return the syntax tree of what stands in the place of a file. Returns None when nothing does."""
        text, lines = self._sources.get(self._workspace.locate(realpath(str(path))), ("", []))
        if not text:
            return None
        tree = ast.parse(text)
        statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
        if len(statements) == len(lines):
            _move(tree, 1, dict(zip(statements, lines)))  # noqa: B905 - Python 3.9
        return tree


def find_half(salt: str, test: str) -> int:
    """Return in which half of the tests one is, 0 or 1."""
    return hashlib.sha256(f"{salt}{test}".encode()).digest()[0] & 1


def shift_doctests(items: Iterable[Any], salt: str, half: int | None) -> list[str]:
    """Let the doctests of one half expect what no honest program prints; None: those of no half. Returns the ids of all doctests."""
    doctests = [item for item in items if getattr(item, "dtest", None) is not None]
    for item in doctests:
        if half == find_half(salt, item.nodeid):
            for example in item.dtest.examples:
                example.want = f"{salt[:8]}\n{example.want}"
                example.exc_msg = example.exc_msg and f"{salt[:8]} {example.exc_msg}"
    return [item.nodeid for item in doctests]


def _move(node: ast.AST, line: int, lines: dict[ast.stmt, int]) -> None:
    """Let a node and all in it stand at `line`, and each statement in it at its own."""
    for child in ast.iter_child_nodes(node):
        place = lines.get(child, line) if isinstance(child, ast.stmt) else line
        if "lineno" in child._attributes:
            child.lineno = child.end_lineno = place  # type: ignore[attr-defined]
            child.col_offset = child.end_col_offset = 0  # type: ignore[attr-defined]
        _move(child, place, lines)
