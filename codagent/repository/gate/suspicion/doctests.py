"""Finds changes of doctests, which stand in the files that are judged, and code that reads its own ones."""

from __future__ import annotations

import ast
import doctest
from collections.abc import Callable, Iterable, Iterator, Sequence

from codagent.repository.gate.suspicion.reach import Change, parse

_TEXTS = (".rst", ".txt", ".md")
_CONFIGURATION = ("pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg")
_SCOPES = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def run_doctests(checks: Sequence[str], paths: Sequence[str], read: Callable[[str], bytes]) -> bool:
    """Whether the checks run doctests, as far as they say so themselves or in pytest's configuration."""
    return any("doctest" in check for check in checks) or any(b"doctest" in read(path) for path in paths if path in _CONFIGURATION)


def find_changed_doctests(changes: Iterable[Change]) -> list[str]:
    """Return a line for each example of a changed file that is gone or expects something else, and for each reader of docstrings."""
    lines = []
    for path, before, now in changes:
        kept = set(_list_examples(path, now))
        lines += [
            f"{path}: the doctest {source!r} is gone or expects something else"
            for source, want in _list_examples(path, before)
            if (source, want) not in kept
        ]
        if not set(_read_docstrings(path, before)):
            lines += [f"{path}:{line}: reads a docstring" for line in _read_docstrings(path, now)]
    return list(dict.fromkeys(lines))


def _list_examples(path: str, data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the examples that expect something: what is run, and what it must print."""
    for text in [data.decode(errors="replace")] if path.endswith(_TEXTS) else _list_docstrings(path, data):
        try:
            examples = doctest.DocTestParser().get_examples(text)
        except ValueError:  # no doctest
            continue
        yield from ((example.source.strip(), example.want) for example in examples if example.want)


def _list_docstrings(path: str, data: bytes) -> list[str]:
    tree = parse(data) if path.endswith(".py") else None
    nodes = [node for node in ast.walk(tree) if isinstance(node, _SCOPES)] if tree else []
    return [text for node in nodes if (text := ast.get_docstring(node))]


def _read_docstrings(path: str, data: bytes) -> Iterator[int]:
    """Yield the lines that read a docstring, other than to copy it to another function."""
    tree = parse(data) if path.endswith(".py") else None
    nodes = list(ast.walk(tree)) if tree else []
    copied = {id(node.value) for node in nodes if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith(".__doc__")}
    yield from (node.lineno for node in nodes if isinstance(node, ast.Attribute) and _is_docstring(node) and id(node) not in copied)


def _is_docstring(node: ast.Attribute) -> bool:
    return node.attr in ("__doc__", "getdoc") and isinstance(node.ctx, ast.Load)
