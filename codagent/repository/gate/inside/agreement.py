"""Detects objects that are equal to everything, by looking at the comparisons in assertions."""

from __future__ import annotations

import ast
import itertools
import operator
import secrets
import warnings
from collections.abc import Callable
from typing import Any

COMPARE = "@gate_compare"  # no program can write this name
# How a comparison asks its left side, and its right side, about a value.
COMPARISONS: dict[str, tuple[Callable[[Any, Any], Any], ...]] = {"Eq": (operator.eq, operator.eq), "In": (operator.eq, operator.contains)}
_MOST = 1000  # items of a container that are examined
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_CONTAINERS = (list, tuple, set, frozenset, dict)


class ComparisonHook(ast.NodeTransformer):
    """Passes each comparison of an assertion that pytest rewrote through `COMPARE`. By then, both sides are plain names."""

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Name) and target.id.startswith("@py_assert") and isinstance(value, ast.Compare):
            left, name, right = value.left, type(value.ops[0]).__name__, value.comparators[0]
            if name in COMPARISONS and isinstance(left, (ast.Name, ast.Constant)) and isinstance(right, (ast.Name, ast.Constant)):
                node.value = ast.Call(ast.Name(COMPARE, ast.Load()), [value, left, ast.Constant(name), right], [])
                for made in ast.walk(node.value):
                    ast.copy_location(made, value)
        return node


def find_agreeable(side: Any, ask: Callable[[Any, Any], Any], depth: int = 0) -> type | None:
    """Return the class of `side`, or of something in it, that also agrees with values it cannot know. Returns None when there is none."""
    kind = type(side)
    if kind in _PLAIN or depth > 3:
        return None
    if kind not in _CONTAINERS:
        strange: list[Any] = [object()]
        if ask is operator.eq:
            strange += [secrets.token_hex(8), secrets.randbits(96), [object()], (object(),), {secrets.token_hex(8): object()}]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if any(is_true(lambda value=value: ask(side, value)) for value in strange):  # type: ignore[misc]
                return kind
    contents: Any = side.values() if isinstance(side, dict) else side if isinstance(side, _CONTAINERS) else ()
    for item in itertools.islice(contents, _MOST):
        if agreeable := find_agreeable(item, operator.eq, depth + 1):
            return agreeable
    return None


def is_true(ask: Callable[[], Any]) -> bool:
    """Whether an answer is true. An answer that has no truth value, like an array, is not."""
    try:
        return bool(ask())
    except Exception:  # noqa: BLE001 - anything may go wrong in a comparison
        return False
