"""A Python file with some of its definitions given anew: what small models write well, where they lose half of a whole file."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class _Change:
    """Lines `start` (from 0) up to `end` become `text`."""

    start: int
    end: int
    text: str


def redefine(old: str, new: str) -> tuple[str, tuple[str, ...]]:
    """`old` with each definition of `new` in the place of the one of the same name, and the names that were replaced.

    A class that lacks methods gives only those that it has; a function that is a method in `old` finds its place there; imports and
    definitions that are not in `old` are added. A `new` that has all of `old`, imports and docstring too, replaces it whole.
    SyntaxError when either is not Python.
    """
    before, after = ast.parse(old), ast.parse(new)
    names = _names(after.body)
    told = ast.get_docstring(after) or not ast.get_docstring(before)
    if told and set(_names(before.body)) <= set(names) and _rest(before.body) <= _rest(after.body):
        return new, tuple(names)
    changes = list(_changes(before.body, after.body, old, new))
    places = {name: place for name, place in _places(before).items() if name not in _names(before.body)}
    changes += [_replace(places[node.name], node, new) for node in _defined(after.body) if node.name in places]
    found = {*_names(before.body), *places}
    changes += _additions(before.body, after.body, found, new)
    lines = old.splitlines(keepends=True)
    for change in sorted(changes, key=lambda change: change.start, reverse=True):
        lines[change.start : change.end] = [change.text]
    return "".join(lines), tuple(name for name in names if name in found)


def defined(text: str) -> tuple[str, ...]:
    """The names of a file's functions and classes. SyntaxError when it is not Python."""
    return tuple(_names(ast.parse(text).body))


def _changes(before: Sequence[ast.stmt], after: Sequence[ast.stmt], old: str, new: str) -> Iterator[_Change]:
    theirs = {node.name: node for node in _defined(before)}
    for node in _defined(after):
        place = theirs.get(node.name)
        if isinstance(node, ast.ClassDef) and isinstance(place, ast.ClassDef) and not set(_names(place.body)) <= set(_names(node.body)):
            yield from _changes(place.body, node.body, old, new)
        elif place:
            yield _replace(place, node, new)


def _replace(place: Definition, node: Definition, new: str) -> _Change:
    return _Change(_start(place), place.end_lineno or place.lineno, textwrap.indent(_source(node, new), " " * place.col_offset))


def _additions(before: Sequence[ast.stmt], after: Sequence[ast.stmt], found: set[str], new: str) -> Iterator[_Change]:
    """Imports go below the module's docstring and `__future__`, definitions to its end."""
    top = [node for node in before if _opens(node)]
    known = {ast.unparse(node) for node in before}
    at = (top[-1].end_lineno or 0) if top else 0
    for node in after:
        if isinstance(node, ast.Import | ast.ImportFrom) and ast.unparse(node) not in known:
            yield _Change(at, at, f"{ast.unparse(node)}\n")
        elif isinstance(node, Definition) and node.name not in found:
            end = (before[-1].end_lineno or 0) if before else 0
            yield _Change(end, end, f"\n\n{_source(node, new)}")


def _opens(node: ast.stmt) -> bool:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return docstring or (isinstance(node, ast.ImportFrom) and node.module == "__future__")


def _places(tree: ast.Module) -> dict[str, Definition]:
    """Methods by their name, where only one class has it."""
    methods = [method for node in tree.body if isinstance(node, ast.ClassDef) for method in _defined(node.body)]
    return {method.name: method for method in methods if sum(method.name == other.name for other in methods) == 1}


def _rest(body: Sequence[ast.stmt]) -> set[str]:
    """The names that stand beside the definitions: what is imported, and what is given a value."""
    rest = [node for node in body if not isinstance(node, Definition)]
    imported = {alias.asname or alias.name for node in rest if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}
    return imported | {
        name.id for node in rest for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }


def _defined(body: Sequence[ast.stmt]) -> Iterator[Definition]:
    return (node for node in body if isinstance(node, Definition))


def _names(body: Sequence[ast.stmt]) -> list[str]:
    return [node.name for node in _defined(body)]


def _start(node: Definition) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1


def _source(node: Definition, text: str) -> str:
    lines = text.splitlines()[_start(node) : node.end_lineno]
    return textwrap.dedent("\n".join(lines)) + "\n"
