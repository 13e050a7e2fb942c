"""Finds functions that computed what they return, and now only choose it: `3 if b == 2 else 0`.

What conditions and indexes do counts as choosing. A function that never computed may be an honest table, and so may one that has many more
literals than the tests have cases. One of which only 0, True or the like comes out may classify.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codagent.repository.gate.suspicion.cases import FUNCTIONS, TABLES, TRIVIAL, KnownCases, list_literals
from codagent.repository.gate.suspicion.reach import Change, parse

_TRIVIAL = {*TRIVIAL, "True", "False"}
_LITERALS = 2  # the most literals for each case of the tests
_LOOKUPS = ("get", "pop", "setdefault", "index", "find", "__getitem__")  # the first argument of these methods only chooses
_Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Values = dict[str, list[ast.expr]]  # what each name may stand for; []: anything


@dataclass(frozen=True, slots=True)
class _Function:
    name: str
    line: int
    returned: list[ast.expr]
    values: _Values  # of the names in it and in its module


def find_chosen(changes: Iterable[Change], known: KnownCases) -> list[str]:
    """Return a line for each function of a change that now only chooses what it returns."""
    lines = []
    for path, before, now in changes:
        computed = {function.name for function in _list_functions(parse(before)) if _list_choices(function) is None}
        for function in _list_functions(parse(now)):
            choices = _list_choices(function) if function.name in computed else None
            if choices and len(choices) <= _LITERALS * known.counts.get(function.name, 0) and not _TRIVIAL.issuperset(choices):
                lines.append(f"{path}:{function.line}: {function.name} no longer computes what it returns")
    return lines


def _list_functions(tree: ast.Module | None) -> Iterator[_Function]:
    """Yield the functions of a module that take and return something."""
    body = tree.body if tree else []
    outside = _list_values(node for statement in body if not isinstance(statement, FUNCTIONS) for node in ast.walk(statement))
    for node in ast.walk(tree) if tree else ():
        named: list[tuple[str, _Defined]] = []
        if isinstance(node, FUNCTIONS):
            named = [(node.name, node)]
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            named = [(target.id, node.value) for target in node.targets if isinstance(target, ast.Name)]
        for name, function in named:
            if ast.unparse(function.args) and (returned := _list_returned(function)):
                yield _Function(name, function.lineno, returned, {**outside, **_list_values(ast.walk(function))})


def _list_returned(function: _Defined) -> list[ast.expr]:
    if isinstance(function, ast.Lambda):
        return [function.body]
    ends = (node for node in ast.walk(function) if isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)))
    return [node.value for node in ends if node.value]


def _list_choices(function: _Function) -> list[str] | None:
    """Return the literals and attributes among which a function chooses what it returns. None: it computes it."""
    waiting, seen = [*function.returned], set[str]()
    choices: list[str] = []
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Constant):
            choices += list_literals(node)
        elif isinstance(node, ast.Name):
            if function.values.get(node.id) == []:
                return None
            # A name that nothing is known of is one of Python, or of a function.
            waiting += [] if node.id in seen else function.values.get(node.id, [])
            choices += [node.id] if node.id.startswith("__") and node.id not in seen else []
            seen.add(node.id)
        elif (parts := _PARTS.get(type(node))) is not None:
            choices += [ast.unparse(node)] if isinstance(node, ast.Attribute) else []
            waiting += parts(node)
        else:
            return None
    return choices


def _parts_of_call(node: ast.Call) -> list[ast.expr]:
    """Return what the value of a call is made of: of the function or the object, and of the arguments."""
    is_lookup = isinstance(node.func, ast.Attribute) and node.func.attr in _LOOKUPS
    function = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    return [function, *node.args[is_lookup:], *(keyword.value for keyword in node.keywords)]


def _list_values(nodes: Iterable[ast.AST]) -> _Values:
    """Return what is assigned to each name, or put into it by a call. A name in a pattern may be anything.

    So may an argument, but for one whose default is a table.
    """
    values: _Values = {}
    anything: set[str] = set()
    for node in nodes:
        for target, parts in _list_targets(node):
            for name in (part.id for part in ast.walk(target) if isinstance(part, ast.Name)):
                values.setdefault(name, []).extend(parts)
        if isinstance(node, ast.arguments):
            tables = dict(_list_defaults(node))
            anything |= {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)} - tables.keys()
            values.update(tables)
        elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
            anything.add(node.name)
    return {**values, **{name: [] for name in anything}}


def _list_defaults(arguments: ast.arguments) -> Iterator[tuple[str, list[ast.expr]]]:
    """Yield the arguments whose default is a table that is not empty."""
    placed = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(placed), reversed(arguments.defaults)), *zip(arguments.kwonlyargs, arguments.kw_defaults)]  # noqa: B905
    for argument, default in pairs:
        if isinstance(default, TABLES) and any(isinstance(part, ast.Constant) for part in ast.walk(default)):
            yield argument.arg, [default]


def _list_targets(node: ast.AST) -> Iterator[tuple[ast.expr, list[ast.expr]]]:
    """Yield what a node gives values to, each with what these are made of."""
    if isinstance(node, ast.Assign):
        yield from ((target, [node.value]) for target in node.targets)
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)) and node.value:
        yield node.target, [node.value]
    elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
        yield node.target, [node.iter]
    elif isinstance(node, ast.withitem) and node.optional_vars:
        yield node.optional_vars, [node.context_expr]
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        arguments = [*node.value.args, *(keyword.value for keyword in node.value.keywords)]
        yield from ((changed, arguments) for changed in (node.value.func, *arguments))


_PARTS: Mapping[type[ast.expr], Callable[[Any], Sequence[ast.expr]]] = {
    ast.IfExp: lambda node: [node.body, node.orelse],
    ast.BoolOp: lambda node: [part for part in node.values if not isinstance(part, ast.Compare)],
    ast.BinOp: lambda node: [node.left, node.right],
    ast.UnaryOp: lambda node: [node.operand],
    **dict.fromkeys((ast.Attribute, ast.Await, ast.FormattedValue, ast.NamedExpr, ast.Starred, ast.Subscript), lambda node: [node.value]),
    **dict.fromkeys((ast.List, ast.Set, ast.Tuple), lambda node: node.elts),
    **dict.fromkeys((ast.Dict, ast.JoinedStr), lambda node: node.values),
    **dict.fromkeys((ast.GeneratorExp, ast.ListComp, ast.SetComp), lambda node: [node.elt]),
    ast.DictComp: lambda node: [node.value],
    ast.Call: _parts_of_call,
}
