"""Which variables of a function have the same type, as far as its text shows."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator


def names_of_one_type(function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, set[str]]:
    """Return for each variable the others of its type.

    Two variables have one type when their annotations are the same, when the same function or a literal of the same type gave their values,
    or when they are compared with or added to each other.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for name, kind in _kinds(function):
        groups[kind].add(name)
    alike: dict[str, set[str]] = defaultdict(set)
    for names in groups.values():
        for name in names:
            alike[name] |= names - {name}
    return alike


def _kinds(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, str]]:
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if argument.annotation is not None:
            yield argument.arg, f"annotated {ast.unparse(argument.annotation)}"
    for number, node in enumerate(ast.walk(function)):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            yield from _pairs(node.targets[0], node.value)
        elif isinstance(node, ast.Compare) and all(
            isinstance(sign, ast.Lt | ast.LtE | ast.Gt | ast.GtE | ast.Eq | ast.NotEq) for sign in node.ops
        ):
            yield from ((name, f"compared {number}") for name in _plain(node.left, *node.comparators))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            yield from ((name, f"added {number}") for name in _plain(node.left, node.right))


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, str]]:
    if isinstance(target, ast.Tuple):
        values = value.elts if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts) else [value] * len(target.elts)
        for one, its_value in zip(target.elts, values, strict=True):
            yield from _pairs(one, its_value)
    elif isinstance(target, ast.Name):
        if isinstance(value, ast.Constant):
            yield target.id, f"literal {type(value.value).__name__}"
        elif isinstance(value, ast.Call):
            yield target.id, f"made by {ast.unparse(value.func)}"
        elif isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
            yield target.id, f"literal {type(value).__name__.removesuffix('Comp')}"
        elif isinstance(value, ast.Name):
            yield from ((name, f"copy {target.lineno}") for name in (target.id, value.id))


def _plain(*operands: ast.expr) -> list[str]:
    return [operand.id for operand in operands if isinstance(operand, ast.Name)]
