"""Replaces single definitions in a Python file. Small models write one function well, but lose half of a file that they have to repeat."""

from __future__ import annotations

import ast
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from codagent.repository.python_source import (
    PythonDefinition,
    PythonFunction,
    begins_line,
    find_definitions,
    find_docstring,
    parse_python,
    split_python,
    start_of,
)
from codagent.text import read_indent


@dataclass(frozen=True, slots=True)
class _Change:
    """Replaces the lines from `start` (counted from 0) up to `end`, which is not included, by `text`."""

    start: int
    end: int
    text: str


def redefine(old: str, new: str) -> tuple[str, tuple[str, ...]]:
    """Put each definition of `new` in the place of the definition with the same name in `old`. Returns the file and the names replaced.

    A class in `new` that lacks anything, its docstring too, replaces only the methods that it has. A function that is a method in `old`
    replaces that method; of a property, the part with the same decorators. A function that lacks its docstring keeps the old one. Imports
    and definitions that `old` lacks are added. If `new` has everything that `old` has, imports and docstring included, it replaces the
    whole file. What is put into `old` has the line ends of its first line. Raises SyntaxError when either text is not Python.
    """
    new = new.replace("\r\n", "\n")
    before, after = parse_python(old), parse_python(new)
    names = _names(after.body)
    if _has_all_of(before, after):
        return _restore_docstrings(split_python(new), 0, _pair(before.body, after.body), old, new), tuple(names)
    changes = list(_changes(before.body, after.body, old, new))
    existing = set(_names(before.body))
    for owner, methods in _find_owners(before, after):
        changes += _changes(owner.body, methods, old, new)
        existing |= set(_names(methods))
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
    targets = {_find_namesake(before, node): node for node in find_definitions(after)}
    for target, node in targets.items():
        if isinstance(node, ast.ClassDef) and isinstance(target, ast.ClassDef) and not _has_all_of(target, node):
            yield from _changes(target.body, node.body, old, new)
        elif target:
            yield _replacement(target, node, old, new)


def _find_namesake(body: Sequence[ast.stmt], node: PythonDefinition) -> PythonDefinition | None:
    """Return the definition with the same name. Of several it is the last with the same decorators, or arguments, or at all."""
    alike = [other for other in find_definitions(body) if other.name == node.name]
    for describe in (_describe_decorators, _describe_arguments):
        alike = [other for other in alike if describe(other) == describe(node)] or alike
    return alike[-1] if alike else None


def _describe_decorators(node: PythonDefinition) -> list[str]:
    return [ast.unparse(decorator) for decorator in node.decorator_list]


def _describe_arguments(node: PythonDefinition) -> str:
    return "" if isinstance(node, ast.ClassDef) else ast.unparse(node.args)


def _replacement(target: PythonDefinition, node: PythonDefinition, old: str, new: str) -> _Change:
    lines = split_python(_indent(_source(node, new), " " * target.col_offset))
    text = _restore_docstrings(lines, start_of(node), _pair([target], [node]), old, new)
    return _Change(start_of(target), target.end_lineno or target.lineno, text)


def _pair(before: Sequence[ast.stmt], after: Sequence[ast.stmt]) -> Iterator[tuple[PythonFunction, PythonFunction]]:
    """Yield each function and method of `after` with its namesake, in order, the old one first."""
    for node in find_definitions(after):
        target = _find_namesake(before, node)
        if isinstance(target, ast.ClassDef) and isinstance(node, ast.ClassDef):
            yield from _pair(target.body, node.body)
        elif isinstance(target, PythonFunction) and isinstance(node, PythonFunction):
            yield target, node


def _restore_docstrings(lines: list[str], first: int, pairs: Iterable[tuple[PythonFunction, PythonFunction]], old: str, new: str) -> str:
    """Return `lines`, which begin with line `first` of `new`, with the old docstring of each function that has none any more."""
    lines, theirs, ours = [*lines], split_python(old), split_python(new)
    for target, node in reversed([*pairs]):
        docstring = "".join(theirs[at] for at in find_docstring(target, theirs)).replace("\r\n", "\n").lstrip()
        if not docstring or ast.get_docstring(node) is not None or not begins_line(node.body[0], ours):
            continue
        at = start_of(node.body[0]) - first
        indent = read_indent(lines[at])
        while not lines[at - 1].strip() or lines[at - 1].lstrip().startswith("#"):
            at -= 1
        lines.insert(at, f"{indent}{docstring}")
    return "".join(lines)


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


def _find_owners(before: ast.Module, after: ast.Module) -> Iterator[tuple[ast.ClassDef, Sequence[PythonDefinition]]]:
    """Yield each class with the functions of `after` that are methods of it, and of no other class."""
    classes = [node for node in before.body if isinstance(node, ast.ClassDef)]
    counts = Counter(name for owner in classes for name in set(_names(owner.body)))
    top = set(_names(before.body))
    for owner in classes:
        own = {name for name in _names(owner.body) if counts[name] == 1 and name not in top}
        yield owner, [node for node in find_definitions(after.body) if node.name in own]


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
