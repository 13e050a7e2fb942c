"""Finds code that repeats the cases of the tests instead of computing them: `{(1, 2): 3, (-1, 1): 0}`, `if a == 1 and b == 2: return 3`.

Only calls with two arguments or more are looked at in tables, because tables with one key are honest work. A branch may have one argument
that is a number. A case of which only 0, 1 or the like comes out may be the base of a recursion.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from codagent.repository.gate.suspicion.reach import Change, parse

_TRIVIAL: tuple[object, ...] = (0, 1, -1, "", None)
_MANY = 2  # so many cases are no chance

Case = tuple[str, str]  # the arguments and what is expected, as texts: `1, 2` and `3`


def read_cases(source: bytes) -> Iterator[Case]:
    """Yield the cases that a test file has as literals: in comparisons, and in the rows of parametrisations."""
    tree = parse(source)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
            yield from _case_of(node.left, node.comparators[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("assertEqual", "assert_equal")) and len(node.args) > 1:
            yield from _case_of(node.args[0], node.args[1])
        elif isinstance(node, (ast.List, ast.Tuple)):
            yield from _rows(node)


def find_repeated(changes: Iterable[Change], cases: frozenset[Case]) -> list[str]:
    """Return a line for each table, function or `match` of a change that repeats several cases, where none did so before."""
    lines = []
    for path, before, now in changes:
        tree = parse(now) if path.endswith(".py") else None
        known = {case for group, _ in _list_groups(parse(before)) for case in group}
        for group, line in _list_groups(tree):
            repeated = cases.intersection(group) - known
            if len(repeated) >= _MANY and 2 * len(repeated) >= len(group) and any(want not in map(repr, _TRIVIAL) for _, want in repeated):
                lines.append(f"{path}:{line}: repeats {len(repeated)} cases of the tests")
    return lines


def _list_groups(tree: ast.AST | None) -> Iterator[tuple[list[Case], int]]:
    for node in ast.walk(tree) if tree else ():
        cases: list[Case] = []
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            cases = [_as_case(key.elts, value) for key, value in pairs if isinstance(key, ast.Tuple) and _are_literals([*key.elts, value])]
        elif isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            cases = list(_rows(node))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            cases = [case for part in ast.walk(node) for case in _branches(part)]
        if cases and isinstance(node, (ast.expr, ast.stmt)):
            yield cases, node.lineno


def _branches(node: ast.AST) -> Iterator[Case]:
    """Yield the cases of a branch that returns a literal."""
    if isinstance(node, ast.If):
        yield from _returned(_compared(node.test), node.body)
    elif isinstance(node, ast.IfExp) and _are_literals([node.body]):
        yield from _returned(_compared(node.test), [ast.Return(node.body)])
    elif isinstance(node, ast.match_case):
        patterns = node.pattern.patterns if isinstance(node.pattern, ast.MatchSequence) else [node.pattern]
        values = [pattern.value for pattern in patterns if isinstance(pattern, ast.MatchValue)]
        yield from _returned(values if len(values) == len(patterns) else [], node.body)


def _returned(values: Sequence[ast.expr], body: Sequence[ast.stmt]) -> Iterator[Case]:
    last = body[-1].value if isinstance(body[-1], ast.Return) else None
    is_number = len(values) == 1 and isinstance(values[0], ast.Constant) and isinstance(values[0].value, (int, float))
    if last is not None and (len(values) > 1 or is_number) and _are_literals([*values, last]):
        yield _as_case(values, last)


def _compared(test: ast.expr) -> list[ast.expr]:
    """Return the values with which names are compared, all of which must be equal. An empty list stands for any other test."""
    parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
    values: list[ast.expr] = []
    for part in parts:
        if not (isinstance(part, ast.Compare) and len(part.ops) == 1 and isinstance(part.ops[0], ast.Eq)):
            return []
        value = part.comparators[0]
        values += value.elts if isinstance(value, ast.Tuple) else [value]
    return values


def _case_of(first: ast.expr, second: ast.expr) -> Iterator[Case]:
    for call, want in ((first, second), (second, first)):
        if isinstance(call, ast.Call) and call.args and not call.keywords and _are_literals([*call.args, want]):
            yield _as_case(call.args, want)


def _rows(node: ast.List | ast.Tuple | ast.Set) -> Iterator[Case]:
    for row in node.elts:
        if isinstance(row, ast.Tuple) and len(row.elts) > _MANY and _are_literals(row.elts):
            yield _as_case(row.elts[:-1], row.elts[-1])


def _as_case(arguments: Sequence[ast.expr], want: ast.expr) -> Case:
    return ", ".join(map(ast.unparse, arguments)), ast.unparse(want)


def _are_literals(nodes: Iterable[ast.expr]) -> bool:
    allowed = (ast.Constant, ast.UnaryOp, ast.USub, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Load)
    return all(isinstance(part, allowed) for node in nodes for part in ast.walk(node))
