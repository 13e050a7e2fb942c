"""The cases that tests have as literals: the arguments of a call and what is expected of it."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from codagent.repository.gate.suspicion.reach import parse

TRIVIAL = tuple(map(repr, (0, 1, -1, "", None)))
MANY = 2  # so many cases are no chance
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
TABLES = (ast.Dict, ast.List, ast.Tuple, ast.Set)
_LONG = 12  # from so many characters on, a text is no key of an honest table

Case = tuple[str, ...]  # the literals of the arguments and of what is expected, as texts: "1", "2", "3"


@dataclass(frozen=True, slots=True)
class KnownCases:
    """The cases of all tests."""

    cases: frozenset[Case]
    answers: frozenset[Case]  # the numbers that a file expects of each function that has several cases, in the order of its tests
    counts: Mapping[str, int]  # how many cases each function has, by its name


def read_cases(sources: Iterable[bytes]) -> KnownCases:
    """Read the cases of test files: in comparisons, and in the rows of parametrisations."""
    cases: set[Case] = set()
    answers: set[Case] = set()
    counts: Counter[str] = Counter()
    for source in sources:
        wanted: dict[str, list[ast.expr]] = {}
        for called, arguments, want in _list_cases(parse(source)):
            cases.add(as_case([*arguments, want]))
            wanted.setdefault(called, []).append(want)
            counts[called.rpartition(".")[2]] += 1
        listed = (as_case(each) for each in wanted.values() if len(each) >= MANY)
        answers |= {case for case in listed if all(map(NUMBER.fullmatch, case))}
    return KnownCases(frozenset(cases), frozenset(answers), counts)


def as_case(nodes: Iterable[ast.expr]) -> Case:
    return tuple(text for node in nodes for text in list_literals(node))


def are_literals(*nodes: ast.expr) -> bool:
    allowed = (ast.Constant, ast.UnaryOp, ast.USub, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Load)
    return all(isinstance(part, allowed) for node in nodes for part in ast.walk(node))


def is_telling(case: Case) -> bool:
    """Whether a case is one that no honest table has by chance: it has two arguments or more, or a long text."""
    return len(case) > MANY or (len(case) == MANY and case[0].startswith(("'", '"')) and (len(case[0]) > _LONG or " " in case[0]))


def list_literals(node: ast.AST, *, whole: bool = True) -> Iterator[str]:
    """Yield the literals of a node in their order, the numbers in a text one by one. Not `whole`: without those of functions in it."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        yield f"-{ast.unparse(node.operand)}"
    elif isinstance(node, ast.Constant):
        numbers = NUMBER.findall(node.value) if isinstance(node.value, str) else []
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


def _list_cases(tree: ast.AST | None) -> Iterator[tuple[str, list[ast.expr], ast.expr]]:
    """Yield the cases of a test file in their order: what is called, or the line of a table, the arguments, and what is expected."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.expr)] if tree else []
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
            yield from _case_of(node.left, node.comparators[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("assertEqual", "assert_equal")) and len(node.args) > 1:
            yield from _case_of(node.args[0], node.args[1])
        elif isinstance(node, (ast.List, ast.Tuple)):
            rows = [row for row in node.elts if isinstance(row, ast.Tuple) and len(row.elts) >= MANY and are_literals(row)]
            yield from ((f"{node.lineno}", row.elts[:-1], row.elts[-1]) for row in rows if is_telling(as_case(row.elts)))


def _case_of(first: ast.expr, second: ast.expr) -> Iterator[tuple[str, list[ast.expr], ast.expr]]:
    for call, want in ((first, second), (second, first)):
        if isinstance(call, ast.Call) and call.args and not call.keywords and are_literals(*call.args, want):
            yield ast.unparse(call.func), call.args, want
