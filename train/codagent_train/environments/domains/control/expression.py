"""The language of control laws: one scalar expression, read into a tree and evaluated by walking it. Nothing is executed as Python.

Numbers, + - * / **, comparisons, and, or, not, `A if C else B`, and a few functions. Anything else is refused. Length and size are
bounded, and all numbers are floats, so that no power can take long.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

MAX_LENGTH, MAX_NODES = 2000, 300
NAMES = ("x", "v", "t", "x_target", "v_target", "horizon", "remaining_steps")

Values = Mapping[str, float]
Value = float | bool
Evaluate = Callable[[Values], Value]

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
# name: the least and the most arguments, and the function
_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "abs": (1, 1, abs),
    "min": (2, 20, min),
    "max": (2, 20, max),
    "pow": (2, 2, operator.pow),
    "clip": (3, 3, lambda value, low, high: min(high, max(low, value))),
    "ifelse": (3, 3, lambda condition, yes, no: yes if condition else no),
    **{name: (2, 2, getattr(operator, name)) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
}


class Expression:
    """A law of control in words. Raises ValueError when the text is not in the language; the message says why."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise ValueError(f"the expression is longer than {MAX_LENGTH} characters")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise ValueError("this is not an expression") from None
        if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
            raise ValueError(f"the expression has more than {MAX_NODES} parts")
        self.text = text.strip()
        try:
            self._evaluate = _build(tree)
        except RecursionError:
            raise ValueError("the expression is nested too deeply") from None

    def value(self, values: Values) -> float:
        """Evaluate the expression. Raises ArithmeticError or ValueError when the value is not a finite number."""
        try:
            value = self._evaluate(values)
        except TypeError:
            raise ValueError("the value is not a real number") from None
        if not isinstance(value, float):
            raise ValueError("the value is true or false")
        if not isfinite(value):
            raise ValueError(f"the value is {value}")
        return value


def _build(node: ast.expr) -> Evaluate:
    """Return what evaluates a node. Raises ValueError when the node is not in the language."""
    match node:
        case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
            return _constant(value)
        case ast.Name(id=name) if name in NAMES:
            return lambda values: values[name]
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _call(name, arguments)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            condition, yes, no = map(_build, (test, body, orelse))
            return lambda values: yes(values) if condition(values) else no(values)
    return _build_operation(node)


def _build_operation(node: ast.expr) -> Evaluate:
    match node:
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not() as sign, operand=operand):
            return _unary(sign, _build(operand))
        case ast.BinOp(left=left, op=kind, right=right) if type(kind) in _BINARY:
            return _apply(_BINARY[type(kind)], (_build(left), _build(right)))
        case ast.BoolOp(op=logic, values=parts):
            return _logic(isinstance(logic, ast.And), tuple(map(_build, parts)))
        case ast.Compare(left=left, ops=kinds, comparators=others) if all(type(kind) in _COMPARE for kind in kinds):
            return _comparison([_COMPARE[type(kind)] for kind in kinds], tuple(map(_build, (left, *others))))
    raise ValueError(f"not in the language: {ast.unparse(node)[:40]}")


def _call(name: str, arguments: Sequence[ast.expr]) -> Evaluate:
    least, most, function = _FUNCTIONS[name]
    if not least <= len(arguments) <= most:
        raise ValueError(f"{name} takes {least if least == most else f'{least} or more'} arguments")
    return _apply(function, tuple(map(_build, arguments)))


def _constant(number: float) -> Evaluate:
    try:
        value = float(number)
    except OverflowError:
        raise ValueError("a number is too large") from None
    return lambda _: value


def _unary(sign: ast.unaryop, operand: Evaluate) -> Evaluate:
    if isinstance(sign, ast.Not):
        return lambda values: not operand(values)
    factor = -1.0 if isinstance(sign, ast.USub) else 1.0
    return lambda values: factor * operand(values)


def _apply(function: Callable[..., Any], arguments: tuple[Evaluate, ...]) -> Evaluate:
    def evaluate(values: Values) -> Value:
        value: Value = function(*(argument(values) for argument in arguments))
        if isinstance(value, complex):
            raise ValueError("a root of a negative number is not real")
        return value if isinstance(value, bool) else float(value)

    return evaluate


def _logic(every: bool, parts: tuple[Evaluate, ...]) -> Evaluate:
    return lambda values: (all if every else any)(part(values) for part in parts)


def _comparison(operators: list[Callable[[Any, Any], bool]], parts: tuple[Evaluate, ...]) -> Evaluate:
    def evaluate(values: Values) -> bool:
        numbers = [part(values) for part in parts]
        return all(compare(left, right) for compare, left, right in zip(operators, numbers[:-1], numbers[1:], strict=True))

    return evaluate
