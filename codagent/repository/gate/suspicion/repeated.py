"""Finds code that repeats the cases of the tests instead of computing them: `{(1, 2): 3, (-1, 1): 0}`, `if a == 1 and b == 2: return 3`.

A case is repeated where its arguments and what is expected follow each other as literals, whatever stands between them, in code or in data.
Only calls with two arguments or more, or with a long text, are looked for in that way, because tables with one key are honest work. A
branch may have one argument that is a number. A case of which only 0, 1 or the like comes out may be the base of a recursion. A table may
also hold nothing but the numbers that are expected, in the order of the tests: `iter([3, 0])`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

from codagent.repository.gate.suspicion.cases import (
    FUNCTIONS,
    MANY,
    NUMBER,
    TABLES,
    TRIVIAL,
    Case,
    KnownCases,
    are_literals,
    as_case,
    is_telling,
    list_literals,
)
from codagent.repository.gate.suspicion.reach import Change, parse

_SHARE = 0.5  # the least share of the literals that are of repeated cases
_IN_DATA = re.compile(rf"'[^'\n]*'|\"[^\"\n]*\"|{NUMBER.pattern}")
_DOCUMENTS = (".md", ".rst", ".lock")
_MAX_BYTES = 1_000_000


def find_repeated(changes: Iterable[Change], known: KnownCases) -> list[str]:
    """Return a line for each function, table, or body of a class or module, of a change that repeats cases where none did so before."""
    lines = []
    for path, before, now in changes:
        named = {case for literals, branches, _ in _read_groups(path, before) for case in _find_cases(literals, branches, known.cases)}
        for literals, branches, line in _read_groups(path, now):
            repeated = _find_cases(literals, branches, known.cases) - named
            are_most = sum(map(len, repeated)) >= _SHARE * len(literals)
            if len(repeated) >= MANY and are_most and any(case[-1] not in TRIVIAL for case in repeated):
                lines.append(f"{path}:{line}: repeats {len(repeated)} cases of the tests")
                named |= repeated
        listed = {tuple(literals) for literals, _ in _list_tables(path, before)}
        for literals, line in _list_tables(path, now):
            if (table := tuple(literals)) in known.answers - listed and not set(table) <= set(TRIVIAL):
                lines.append(f"{path}:{line}: lists what the tests expect")
    return lines


def _find_cases(literals: Sequence[str], branches: Iterable[Case], cases: frozenset[Case]) -> set[Case]:
    lengths = {len(case) for case in cases if is_telling(case)}
    runs = {tuple(literals[start : start + length]) for length in lengths for start in range(len(literals))}
    return {*filter(is_telling, runs), *branches} & cases


def _read_groups(path: str, data: bytes) -> Iterable[tuple[list[str], list[Case], int]]:
    """Return the groups of a module, or a data file as one group."""
    if path.endswith(".py"):
        return _list_groups(parse(data))
    text = "" if path.endswith(_DOCUMENTS) else data[:_MAX_BYTES].decode(errors="replace")
    return [([repr(part[1:-1]) if part[0] in "'\"" else part for part in _IN_DATA.findall(text)], [], 1)]


def _list_tables(path: str, data: bytes) -> Iterator[tuple[list[str], int]]:
    tree = parse(data) if path.endswith(".py") else None
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, TABLES) and are_literals(node):
            yield list(list_literals(node)), node.lineno


def _list_groups(tree: ast.AST | None) -> Iterator[tuple[list[str], list[Case], int]]:
    """Yield the literals, the branches and the line of each table, of each function, and of what else stands in a module or a class.

    What is inside something else comes before it.
    """
    for node in reversed(list(ast.walk(tree)) if tree else []):
        if isinstance(node, (*FUNCTIONS, *TABLES, ast.Module, ast.ClassDef)):
            branches = [case for part in ast.walk(node) for case in _branches(part)] if isinstance(node, FUNCTIONS) else []
            yield list(list_literals(node, whole=isinstance(node, FUNCTIONS))), branches, getattr(node, "lineno", 1)


def _branches(node: ast.AST) -> Iterator[Case]:
    """Yield the case of a branch that takes one number and returns a literal."""
    if not isinstance(node, ast.If) or not isinstance(node.body[-1], ast.Return) or node.body[-1].value is None:
        return
    test, value = node.test, node.body[-1].value
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq) and are_literals(value):
        number = test.comparators[0]
        if isinstance(number, ast.Constant) and isinstance(number.value, (int, float)):
            yield as_case([number, value])
