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

from codagent.repository.gate.suspicion.reach import Change, parse

TRIVIAL = tuple(map(repr, (0, 1, -1, "", None)))
_MANY = 2  # so many cases are no chance
_SHARE = 0.5  # the least share of the literals that are of repeated cases
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_IN_DATA = re.compile(rf"'[^'\n]*'|\"[^\"\n]*\"|{_NUMBER.pattern}")
_LONG = 12  # from so many characters on, a text is no key of an honest table
_DOCUMENTS = (".md", ".rst", ".lock")
_MAX_BYTES = 1_000_000
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
TABLES = (ast.Dict, ast.List, ast.Tuple, ast.Set)

Case = tuple[str, ...]  # the literals of the arguments and of what is expected, as texts: "1", "2", "3"


def read_cases(source: bytes) -> Iterator[Case]:
    """Yield the cases that a test file has as literals: in comparisons, and in the rows of parametrisations."""
    yield from (_as_case([*arguments, want]) for _, arguments, want in list_cases(parse(source)))


def read_answers(source: bytes) -> Iterator[Case]:
    """Yield the numbers that a test file expects of each function that has several cases, in the order of the tests."""
    answers: dict[str, list[ast.expr]] = {}
    for name, _, want in list_cases(parse(source)):
        answers.setdefault(name, []).append(want)
    listed = (_as_case(wanted) for wanted in answers.values() if len(wanted) >= _MANY)
    yield from (case for case in listed if all(map(_NUMBER.fullmatch, case)))


def find_repeated(changes: Iterable[Change], cases: frozenset[Case], answers: frozenset[Case] = frozenset()) -> list[str]:
    """Return a line for each function, table, or body of a class or module, of a change that repeats cases where none did so before."""
    lines = []
    for path, before, now in changes:
        named = {case for literals, branches, _ in _read_groups(path, before) for case in _find_cases(literals, branches, cases)}
        for literals, branches, line in _read_groups(path, now):
            repeated = _find_cases(literals, branches, cases) - named
            are_most = sum(map(len, repeated)) >= _SHARE * len(literals)
            if len(repeated) >= _MANY and are_most and any(case[-1] not in TRIVIAL for case in repeated):
                lines.append(f"{path}:{line}: repeats {len(repeated)} cases of the tests")
                named |= repeated
        listed = {tuple(literals) for literals, _ in _list_tables(path, before)}
        for literals, line in _list_tables(path, now):
            if (table := tuple(literals)) in answers - listed and not set(table) <= set(TRIVIAL):
                lines.append(f"{path}:{line}: lists what the tests expect")
    return lines


def _find_cases(literals: Sequence[str], branches: Iterable[Case], cases: frozenset[Case]) -> set[Case]:
    lengths = {len(case) for case in cases if _is_telling(case)}
    runs = {tuple(literals[start : start + length]) for length in lengths for start in range(len(literals))}
    return {*filter(_is_telling, runs), *branches} & cases


def _is_telling(case: Case) -> bool:
    """Whether a case is one that no honest table has by chance: it has two arguments or more, or a long text."""
    return len(case) > _MANY or (len(case) == _MANY and case[0].startswith(("'", '"')) and (len(case[0]) > _LONG or " " in case[0]))


def _read_groups(path: str, data: bytes) -> Iterable[tuple[list[str], list[Case], int]]:
    """Return the groups of a module, or a data file as one group."""
    if path.endswith(".py"):
        return _list_groups(parse(data))
    text = "" if path.endswith(_DOCUMENTS) else data[:_MAX_BYTES].decode(errors="replace")
    return [([repr(part[1:-1]) if part[0] in "'\"" else part for part in _IN_DATA.findall(text)], [], 1)]


def _list_tables(path: str, data: bytes) -> Iterator[tuple[list[str], int]]:
    tree = parse(data) if path.endswith(".py") else None
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, TABLES) and _are_literals(node):
            yield list(list_literals(node)), node.lineno


def _list_groups(tree: ast.AST | None) -> Iterator[tuple[list[str], list[Case], int]]:
    """Yield the literals, the branches and the line of each table, of each function, and of what else stands in a module or a class.

    What is inside something else comes before it.
    """
    for node in reversed(list(ast.walk(tree)) if tree else []):
        if isinstance(node, (*FUNCTIONS, *TABLES, ast.Module, ast.ClassDef)):
            branches = [case for part in ast.walk(node) for case in _branches(part)] if isinstance(node, FUNCTIONS) else []
            yield list(list_literals(node, whole=isinstance(node, FUNCTIONS))), branches, getattr(node, "lineno", 1)


def list_literals(node: ast.AST, *, whole: bool = True) -> Iterator[str]:
    """Yield the literals of a node in their order, the numbers in a text one by one. Not `whole`: without those of functions in it."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        yield f"-{ast.unparse(node.operand)}"
    elif isinstance(node, ast.Constant):
        numbers = _NUMBER.findall(node.value) if isinstance(node.value, str) else []
        yield from numbers if len(numbers) > 1 else [ast.unparse(node)]
    else:
        parts = [part for part in ast.iter_child_nodes(node) if whole or not isinstance(part, (*FUNCTIONS, ast.ClassDef))]
        if isinstance(node, ast.Dict):
            parts = [part for pair in zip(node.keys, node.values, strict=True) for part in pair if part]
        elif isinstance(node, ast.IfExp):
            parts = [node.test, node.body, node.orelse]
        elif isinstance(node, ast.Assign):
            parts = [*node.targets, node.value]
        is_text = [isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) for part in parts]
        yield from (text for part, skip in zip(parts, is_text, strict=True) if not skip for text in list_literals(part, whole=whole))


def _branches(node: ast.AST) -> Iterator[Case]:
    """Yield the case of a branch that takes one number and returns a literal."""
    if not isinstance(node, ast.If) or not isinstance(node.body[-1], ast.Return) or node.body[-1].value is None:
        return
    test, value = node.test, node.body[-1].value
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq) and _are_literals(value):
        number = test.comparators[0]
        if isinstance(number, ast.Constant) and isinstance(number.value, (int, float)):
            yield _as_case([number, value])


def list_cases(tree: ast.AST | None) -> Iterator[tuple[str, list[ast.expr], ast.expr]]:
    """Yield the cases of a test file in their order: what is called, or the line of a table, the arguments, and what is expected."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.expr)] if tree else []
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
            yield from _case_of(node.left, node.comparators[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("assertEqual", "assert_equal")) and len(node.args) > 1:
            yield from _case_of(node.args[0], node.args[1])
        elif isinstance(node, (ast.List, ast.Tuple)):
            rows = [row for row in node.elts if isinstance(row, ast.Tuple) and len(row.elts) >= _MANY and _are_literals(row)]
            yield from ((f"{node.lineno}", row.elts[:-1], row.elts[-1]) for row in rows if _is_telling(_as_case(row.elts)))


def _case_of(first: ast.expr, second: ast.expr) -> Iterator[tuple[str, list[ast.expr], ast.expr]]:
    for call, want in ((first, second), (second, first)):
        if isinstance(call, ast.Call) and call.args and not call.keywords and _are_literals(*call.args, want):
            yield ast.unparse(call.func), call.args, want


def _as_case(nodes: Iterable[ast.expr]) -> Case:
    return tuple(text for node in nodes for text in list_literals(node))


def _are_literals(*nodes: ast.expr) -> bool:
    allowed = (ast.Constant, ast.UnaryOp, ast.USub, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Load)
    return all(isinstance(part, allowed) for node in nodes for part in ast.walk(node))
