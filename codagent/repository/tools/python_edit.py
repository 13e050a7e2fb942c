"""Replaces single definitions in a Python file. Small models write one function well, but lose half of a file that they have to repeat."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codagent.repository.python_source import PythonDefinition, find_definitions, parse_python, split_python, start_of


@dataclass(frozen=True, slots=True)
class _Change:
    """Replaces the lines from `start` (counted from 0) up to `end`, which is not included, by `text`."""

    start: int
    end: int
    text: str


def redefine(old: str, new: str) -> tuple[str, tuple[str, ...]]:
    """Put each definition of `new` in the place of the definition with the same name in `old`. Returns the file and the names replaced.

    A class in `new` that lacks anything, its docstring too, replaces only the methods that it has. A function that is a method in `old`
    replaces that method. Imports and definitions that `old` lacks are added. If `new` has everything that `old` has, imports and docstring
    included, it replaces the whole file. What is put into `old` has the line ends of its first line. Raises SyntaxError when either text is
    not Python.
    """
    new = new.replace("\r\n", "\n")
    before, after = parse_python(old), parse_python(new)
    names = _names(after.body)
    if _has_all_of(before, after):
        return new, tuple(names)
    changes = list(_changes(before.body, after.body, old, new))
    methods = {name: method for name, method in _unique_methods(before).items() if name not in _names(before.body)}
    changes += [_replacement(methods[node.name], node, new) for node in find_definitions(after.body) if node.name in methods]
    existing = {*_names(before.body), *methods}
    changes += _additions(before.body, after.body, existing, new)
    lines, end = split_python(old), "\r\n" if "\r\n" in old.partition("\n")[0] + old.partition("\n")[1] else "\n"
    for change in sorted(changes, key=lambda change: change.start, reverse=True):
        lines[change.start : change.end] = [change.text.replace("\n", end)]
    return "".join(lines), tuple(name for name in names if name in existing)


def list_definitions(text: str) -> tuple[str, ...]:
    """Return the names of a file's functions and classes. Raises SyntaxError when the text is not Python."""
    return tuple(_names(parse_python(text).body))


def _has_all_of(before: ast.Module | ast.ClassDef, after: ast.Module | ast.ClassDef) -> bool:
    """Return whether `after` has each definition and each other name of `before`, and a docstring if `before` has one."""
    has_docstring = ast.get_docstring(after) is not None or ast.get_docstring(before) is None
    definitions = set(_names(before.body)) <= set(_names(after.body))
    return has_docstring and definitions and _other_names(before.body) <= _other_names(after.body)


def _changes(before: Sequence[ast.stmt], after: Sequence[ast.stmt], old: str, new: str) -> Iterator[_Change]:
    theirs = {node.name: node for node in find_definitions(before)}
    for node in find_definitions(after):
        target = theirs.get(node.name)
        if isinstance(node, ast.ClassDef) and isinstance(target, ast.ClassDef) and not _has_all_of(target, node):
            yield from _changes(target.body, node.body, old, new)
        elif target:
            yield _replacement(target, node, new)


def _replacement(target: PythonDefinition, node: PythonDefinition, new: str) -> _Change:
    return _Change(start_of(target), target.end_lineno or target.lineno, _indent(_source(node, new), " " * target.col_offset))


def _additions(before: Sequence[ast.stmt], after: Sequence[ast.stmt], existing: set[str], new: str) -> Iterator[_Change]:
    """Yield what `before` lacks: imports, below the module's docstring and `__future__`, and definitions, at its end."""
    top = [node for node in before if _is_at_top(node)]
    known = {ast.unparse(node) for node in before}
    at = (top[-1].end_lineno or 0) if top else 0
    for node in after:
        if isinstance(node, ast.Import | ast.ImportFrom) and ast.unparse(node) not in known:
            yield _Change(at, at, f"{ast.unparse(node)}\n")
        elif isinstance(node, PythonDefinition) and node.name not in existing:
            end = (before[-1].end_lineno or 0) if before else 0
            yield _Change(end, end, f"\n\n{_source(node, new)}")


def _is_at_top(node: ast.stmt) -> bool:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return docstring or (isinstance(node, ast.ImportFrom) and node.module == "__future__")


def _unique_methods(tree: ast.Module) -> dict[str, PythonDefinition]:
    """Return the methods by name, without those whose name occurs in several classes."""
    methods = [method for node in tree.body if isinstance(node, ast.ClassDef) for method in find_definitions(node.body)]
    return {method.name: method for method in methods if sum(method.name == other.name for other in methods) == 1}


def _other_names(body: Sequence[ast.stmt]) -> set[str]:
    """Return the names that are imported or assigned outside of definitions."""
    rest = [node for node in body if not isinstance(node, PythonDefinition)]
    imported = {alias.asname or alias.name for node in rest if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}
    return imported | {
        name.id for node in rest for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }


def _names(body: Sequence[ast.stmt]) -> list[str]:
    return [node.name for node in find_definitions(body)]


def _source(node: PythonDefinition, text: str) -> str:
    lines = split_python(text)[start_of(node) : node.end_lineno]
    return textwrap.dedent("".join(lines).removesuffix("\n")) + "\n"


def _indent(text: str, prefix: str) -> str:
    return "".join(prefix + line if line.strip() else line for line in split_python(text))
