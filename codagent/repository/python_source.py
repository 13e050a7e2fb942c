"""Reads Python without running it: its definitions, and where they stand."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence

PythonFunction = ast.FunctionDef | ast.AsyncFunctionDef
PythonDefinition = PythonFunction | ast.ClassDef


def parse_python(text: str) -> ast.Module:
    """Parse Python. Raises SyntaxError also for an expression that is nested too deeply for the parser."""
    try:
        return ast.parse(text)
    except (RecursionError, MemoryError):
        raise SyntaxError("an expression in it is nested too deeply") from None


def find_break(before: str, after: str) -> str:
    """Say of which Python a text is none any more, why, and in which line. "": it still is one, or it was none before.

    The Python is that of this process; code for a newer one may be none to it.
    """
    why = _find_error(after)
    if not why or _find_error(before):
        return ""
    return f"Python {sys.version_info.major}.{sys.version_info.minor} ({why})"


def _find_error(text: str) -> str:
    """Say why a text is not Python; "": it is."""
    try:
        tree = parse_python(text)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}" if error.lineno else str(error)
    except ValueError as error:  # a NUL byte
        return str(error)
    stray = next((node for node in _walk_outside_functions(tree) if isinstance(node, ast.Return)), None)
    return f"line {stray.lineno}: 'return' outside function" if stray else ""


def _walk_outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt) and not isinstance(child, PythonFunction):
            yield child
            yield from _walk_outside_functions(child)
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            yield from _walk_outside_functions(child)


def find_definitions(body: Sequence[ast.stmt]) -> Iterator[PythonDefinition]:
    """Yield the functions and classes of a body, not those within them."""
    return (node for node in body if isinstance(node, PythonDefinition))


def name_definitions(body: Sequence[ast.stmt], owner: str = "") -> Iterator[tuple[str, PythonDefinition]]:
    """Yield the functions and classes of a body and all within them, each after its full name, like Class.method."""
    for node in find_definitions(body):
        name = f"{owner}{node.name}"
        yield name, node
        yield from name_definitions(node.body, f"{name}.")


def start_of(node: ast.stmt) -> int:
    """Return the first line of a statement, counted from 0, with its decorators."""
    decorators = node.decorator_list if isinstance(node, PythonDefinition) else []
    return min([node.lineno, *(decorator.lineno for decorator in decorators)]) - 1


def find_docstring(node: PythonDefinition, lines: Sequence[str]) -> range:
    """Return which lines a definition's docstring has, counted from 0. An empty range: it has none, or more stands on them."""
    first, *rest = node.body
    if ast.get_docstring(node) is None or not all(begins_line(each, lines) for each in (first, *rest[:1])):
        return range(0)
    return range(first.lineno - 1, first.end_lineno or first.lineno)


def begins_line(node: ast.stmt, lines: Sequence[str]) -> bool:
    """Return whether nothing stands before a statement on its line."""
    return not lines[node.lineno - 1].encode()[: node.col_offset].strip()


def split_python(text: str) -> list[str]:
    """Split Python into lines as its parser does: at LF, CR LF and CR, and not at a form feed or at the separators of Unicode."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)
