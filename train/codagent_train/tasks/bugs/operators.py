"""The kinds of bugs that are put into a function: what people get wrong, not only flipped operators.

The libraries for mutation testing (mutmut, cosmic-ray) know flipped operators, numbers, strings and removed arguments, and come with a
terminal interface or a database.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from itertools import pairwise

from codagent_train.tasks.bugs.names import names_of_one_type
from codagent_train.tasks.bugs.source import Edit, Source

Function = ast.FunctionDef | ast.AsyncFunctionDef
Operator = Callable[[Source, Function], Iterator[Edit]]

_FLIPS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.FloorDiv: ("//", "/"),
    ast.Div: ("/", "//"),
    ast.Mod: ("%", "//"),
}
_TYPE_TESTS = ("isinstance", "issubclass", "getattr", "hasattr", "setattr")  # in the wrong order they never work, which nobody overlooks
_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)


def flip_operators(source: Source, function: Function) -> Iterator[Edit]:
    """Another comparison or another arithmetic: `<` for `<=`, `-` for `+`."""
    for node in _walk(function):
        if isinstance(node, ast.Compare):
            operands = (node.left, *node.comparators)
            for (left, right), sign in zip(pairwise(operands), node.ops, strict=True):
                yield from _flip(source, left, sign, right)
        elif isinstance(node, ast.BinOp) and not _is_text(node.left) and not _is_text(node.right):
            yield from _flip(source, node.left, node.op, node.right)


def drop_guards(source: Source, function: Function) -> Iterator[Edit]:
    """A special case that nobody looks at any more: an `if` that leaves early, one part of a condition, or a `not`."""
    for node in _walk(function):
        if isinstance(node, ast.BoolOp):
            for value in node.values:
                rest = [source.text_of(other) for other in node.values if other is not value]
                yield source.replace(node, (" and " if isinstance(node.op, ast.And) else " or ").join(rest))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield source.replace(node, source.text_of(node.operand))
    for block in _blocks(function):
        for statement in block if len(block) > 1 else ():
            if isinstance(statement, ast.If) and not statement.orelse and isinstance(statement.body[-1], _LEAVES):
                yield source.drop_lines(statement, statement)


def use_wrong_names(source: Source, function: Function) -> Iterator[Edit]:
    """Another variable of the same type."""
    alike = names_of_one_type(function)
    for node in _walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            for other in sorted(alike.get(node.id, ())):
                yield source.replace(node, other)


def miss_by_one(source: Source, function: Function) -> Iterator[Edit]:
    """A slice, a range or an index that begins or ends one too early or too late."""
    for node in _walk(function):
        bounds: list[ast.expr | None] = []
        if isinstance(node, ast.Slice):
            bounds = [node.lower, node.upper]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("range", "enumerate", "islice"):
            bounds = [*node.args[-2:]]
        elif isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice | ast.Tuple):
            bounds = [node.slice] if _is_number(node.slice) else []
        for bound in bounds:
            if bound is not None and not isinstance(bound, ast.Starred):
                yield from _shift(source, bound)


def swap_arguments(source: Source, function: Function) -> Iterator[Edit]:
    """Two arguments of a call in the wrong order."""
    for node in _walk(function):
        if isinstance(node, ast.Call) and source.text_of(node.func) not in _TYPE_TESTS:
            for left, right in pairwise(node.args):
                between = source.text(source.end(left), source.start(right))
                if not isinstance(left, ast.Starred | ast.Constant) and not isinstance(right, ast.Starred | ast.Constant):
                    yield Edit(source.start(left), source.end(right), source.text_of(right) + between + source.text_of(left))


def lose_returns(source: Source, function: Function) -> Iterator[Edit]:
    """A result that is computed and not returned; a step of a computation that is left out."""
    for block in _blocks(function):
        for statement in block:
            if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Call | ast.BinOp | ast.Name):
                yield source.replace(statement, source.text_of(statement.value))
            elif len(block) > 1 and (isinstance(statement, ast.AugAssign) or _is_call(statement)):
                yield source.drop_lines(statement, statement)


def miss_cases(source: Source, function: Function) -> Iterator[Edit]:
    """A case that is not covered: an `elif`, an exception, an entry of a table, a member of a set."""
    for node in _walk(function):
        if isinstance(node, ast.If) and node.orelse:
            yield Edit(source.end(node.body[-1]), source.end(node.orelse[-1]), "")
            second = node.orelse[0]
            if isinstance(second, ast.If) and second.orelse and source.text_of(second).startswith("elif"):
                yield Edit(source.end(node.body[-1]), source.end(second.body[-1]), "")
        elif isinstance(node, ast.Try) and len(node.handlers) > 1:
            yield from (source.drop_lines(handler, handler.body[-1]) for handler in node.handlers)
        elif isinstance(node, ast.Compare) and isinstance(node.ops[-1], ast.In | ast.NotIn):
            yield from _drop_members(source, getattr(node.comparators[-1], "elts", []))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            yield from _drop_members(source, getattr(node.args[-1], "elts", []))
        elif isinstance(node, ast.Dict):
            yield from (Edit(source.end(before), source.end(value), "") for before, value in pairwise(node.values))


OPERATORS: dict[str, Operator] = {
    "flipped operator": flip_operators,
    "dropped guard": drop_guards,
    "wrong variable": use_wrong_names,
    "off by one": miss_by_one,
    "swapped arguments": swap_arguments,
    "lost return": lose_returns,
    "missing case": miss_cases,
}


def _walk(function: Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body, without those of functions in it, of annotations and of what is raised or asserted."""
    waiting: list[ast.AST] = list(reversed(function.body))
    while waiting:
        node = waiting.pop()
        yield node
        skipped = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Raise, ast.Assert, ast.JoinedStr)
        if isinstance(node, ast.AnnAssign):
            waiting += [node.value] if node.value else []
        elif not isinstance(node, skipped):
            waiting += reversed(list(ast.iter_child_nodes(node)))


def _blocks(function: Function) -> Iterator[list[ast.stmt]]:
    """Yield the lists of statements in a function, each written one statement a line."""
    yield function.body
    for node in _walk(function):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield block


def _flip(source: Source, left: ast.expr, sign: ast.AST, right: ast.expr) -> Iterator[Edit]:
    if type(sign) in _FLIPS:
        old, new = _FLIPS[type(sign)]
        start, end = source.end(left), source.start(right)
        if (between := source.text(start, end)).count(old) == 1 and "#" not in between:
            yield Edit(start, end, between.replace(old, new))


def _shift(source: Source, bound: ast.expr) -> Iterator[Edit]:
    text = source.text_of(bound)
    if _is_number(bound):
        number = ast.literal_eval(text)
        yield from (source.replace(bound, str(number + step)) for step in (1, -1))
    else:
        if not isinstance(bound, ast.Name | ast.Call | ast.Attribute | ast.Subscript | ast.BinOp):
            text = f"({text})"
        yield from (source.replace(bound, f"{text} {sign} 1") for sign in "+-")


def _drop_members(source: Source, members: list[ast.expr]) -> Iterator[Edit]:
    if len(members) > 2:
        yield from (Edit(source.end(before), source.end(member), "") for before, member in pairwise(members))


def _is_number(node: ast.expr) -> bool:
    node = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else node
    return isinstance(node, ast.Constant) and type(node.value) is int


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_call(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
