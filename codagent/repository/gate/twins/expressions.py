"""Turns an expression that holds into one that does not, by changing what its comparisons expect."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import TypeGuard

_NEEDS_A_CALL = ("isinstance", "issubclass", "hasattr", "callable", "getattr", "bool")
_PREFIXES = ("startswith", "endswith")
_COPIES = 4


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the names in a test."""

    prefix: str  # of the names of `inline`
    step: int  # how far away a value is that is near
    number: int  # how far away a value is that is far
    tag: str  # what is put around texts
    imported: frozenset[str] = frozenset()  # names that come from the code under test
    computed: frozenset[str] = frozenset()  # variables of the test that a call gave their value
    parameters: frozenset[str] = frozenset()  # arguments of the test: its fixtures, and itself as a method
    far: bool = False  # whether the test may hold with values that are near, too

    def call(self, name: str, *arguments: ast.expr) -> ast.Call:
        """Return a call of a function of `inline`."""
        return ast.Call(ast.Name(self.prefix + name, ast.Load()), list(arguments), [])


def deny(node: ast.expr, known: Known, *, holds: bool = True) -> ast.expr | None:
    """Return an expression that is false where `node` is true, or, not `holds`, true where `node` is false.

    Returns None when `node` expects nothing that could be changed. Nothing but what it expects is changed, so an object that agrees with
    anything goes on to agree.
    """
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = deny(node.operand, known, holds=not holds)
        return inner and ast.UnaryOp(ast.Not(), inner)
    if isinstance(node, ast.BoolOp):
        return _deny_each(node, known, holds)
    if isinstance(node, ast.Compare):
        return _deny_comparison(node, known, holds)
    if isinstance(node, ast.Call) and holds:
        return _deny_call(node, known)
    return None


def shift(node: ast.expr, known: Known) -> ast.expr:
    """Return an expression for a value that `node` is not equal to, but near to unless `known` says that it has to be far away.

    So an object that agrees with all that is like the expected value gives itself away.
    """
    if isinstance(node, (ast.List, ast.Tuple)) and node.elts and not any(isinstance(part, ast.Starred) for part in node.elts):
        return type(node)([shift(part, known) for part in node.elts], ast.Load())
    if isinstance(node, ast.Dict) and node.keys and None not in node.keys:
        return ast.Dict(node.keys, [shift(value, known) for value in node.values])
    if isinstance(node, ast.Call) and called_name(node).lower().endswith("approx") and node.args:
        has_tolerance = len(node.args) > 1 or bool(node.keywords)
        return ast.Call(node.func, [shift(node.args[0], as_far(known) if has_tolerance else known), *node.args[1:]], node.keywords)
    if _is_object(node):
        keywords = [ast.keyword(keyword.arg, shift(keyword.value, known)) for keyword in node.keywords]
        return ast.Call(node.func, [shift(argument, known) for argument in node.args], keywords)
    return known.call("shift_far" if known.far else "shift", node)


def shift_each(node: ast.expr, known: Known) -> ast.expr:
    """Return an expression for a list of values that `node` is not equal to. In each of them, one part is another one."""
    calls = [part for part in ast.walk(node) if isinstance(part, ast.Call)]
    if isinstance(node, (ast.List, ast.Tuple)) and any(map(_is_object, node.elts)):
        places = [place for place, part in enumerate(node.elts) if _is_object(part)][:_COPIES]
        copies = [[shift(part, known) if at == place else part for at, part in enumerate(node.elts)] for place in places]
        return ast.List([type(node)(copy, ast.Load()) for copy in copies], ast.Load())
    if any(called_name(call).lower().endswith("approx") or _is_object(call) for call in calls):
        return ast.List([shift(node, known)], ast.Load())
    return known.call("shift_each", node)


def _is_object(node: ast.expr) -> TypeGuard[ast.Call]:
    """Whether a class is called with nothing but literals: `Sum(3)`."""
    if not isinstance(node, ast.Call) or not called_name(node)[:1].isupper():
        return False
    values = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg)]
    return len(values) == len(node.args) + len(node.keywords) > 0 and all(isinstance(v, ast.Constant) and not is_flag(v) for v in values)


def as_far(known: Known) -> Known:
    """Return the same knowledge, for a comparison that may hold with values that are near, too."""
    return replace(known, far=True)


def choose_expected(first: ast.expr, second: ast.expr, known: Known) -> int:
    """Return which of two sides of a comparison is the expected one, 0 or 1: the one that is less the work of the code under test."""
    return 0 if _rank(first, known) < _rank(second, known) else 1


def called_name(node: ast.expr) -> str:
    """Return the last name of what a call calls; "" when that has no name."""
    func = node.func if isinstance(node, ast.Call) else node
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def root_name(node: ast.expr) -> str:
    """Return the name that an expression begins with, `a` of `a.b[0].c()`; "" when it begins with something else."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _deny_each(node: ast.BoolOp, known: Known, holds: bool) -> ast.expr | None:
    one_is_enough = isinstance(node.op, ast.And) == holds
    parts = [deny(part, known if one_is_enough else as_far(known), holds=holds) for part in node.values]
    if not any(parts) or not (one_is_enough or all(parts)):
        return None
    return ast.BoolOp(node.op, [denied or part for denied, part in zip(parts, node.values, strict=True)])


def _deny_comparison(node: ast.Compare, known: Known, holds: bool) -> ast.expr | None:
    first = node.comparators[0]
    states = holds and len(node.ops) == 1 and isinstance(node.ops[0], (ast.Eq, ast.Is))
    if states and is_flag(first) and (inner := deny(node.left, known, holds=bool(first.value))):
        return ast.Compare(inner, node.ops, node.comparators)
    equal, member = (ast.Eq, ast.In) if holds else (ast.NotEq, ast.NotIn)
    if all(isinstance(op, equal) for op in node.ops) and (holds or len(node.ops) == 1):
        sides = [node.left, *node.comparators]
        place = choose_expected(sides[0], sides[1], known) if len(sides) == 2 else len(sides) - 1
        sides[place] = shift(sides[place], known)
        return ast.Compare(sides[0], node.ops, sides[1:])
    if len(node.ops) == 1 and isinstance(node.ops[0], member):
        item, container = node.left, first
        if _rank(item, known) <= _rank(container, known):
            return ast.Compare(shift(item, as_far(known)), node.ops, [container])
        return ast.Compare(item, node.ops, [known.call("shift_members", container)])
    return _deny_order(node, known) if holds else None


def _deny_order(node: ast.Compare, known: Known) -> ast.expr | None:
    """Deny a comparison by size with a number: the value must lie far beyond it."""
    if len(node.ops) == 1 and isinstance(node.ops[0], (ast.Lt, ast.LtE)) and (distance := _distance(node.left)):
        place = choose_expected(distance.left, distance.right, known)
        limit = node.comparators[0]
        ends = [known.call("shift_by", end, limit) if index == place else end for index, end in enumerate((distance.left, distance.right))]
        far = ast.Call(ast.Name("abs", ast.Load()), [ast.BinOp(ends[0], ast.Sub(), ends[1])], [])
        return ast.Compare(far, node.ops, node.comparators)
    limited = _find_limit(node)
    return known.call("beyond", *limited) if limited else None


def _find_limit(node: ast.Compare) -> tuple[ast.expr, ast.expr, ast.expr] | None:
    """Return a value, the number that limits it, and 1 or -1 for what lies beyond. None: no number limits a value here."""
    sides = [node.left, *node.comparators]
    for op, first, second in zip(node.ops, sides, sides[1:], strict=False):
        sign = 1 if isinstance(op, (ast.Gt, ast.GtE)) else -1 if isinstance(op, (ast.Lt, ast.LtE)) else 0
        for value, limit, side in ((first, second, sign), (second, first, -sign)):
            if sign and _is_number(limit) and not _is_number(value):
                return value, limit, ast.Constant(side)
    return None


def _is_number(node: ast.expr) -> bool:
    node = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else node
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _distance(node: ast.expr) -> ast.BinOp | None:
    """Return the difference in `abs(a - b)`. Returns None for anything else."""
    if isinstance(node, ast.Call) and called_name(node) in ("abs", "fabs") and len(node.args) == 1 and isinstance(node.args[0], ast.BinOp):
        return node.args[0] if isinstance(node.args[0].op, ast.Sub) else None
    return None


def _deny_call(node: ast.Call, known: Known) -> ast.expr | None:
    name = called_name(node)
    if name == "all" and isinstance(node.func, ast.Name) and len(node.args) == 1:
        source = node.args[0]
        if isinstance(source, (ast.GeneratorExp, ast.ListComp)) and (element := deny(source.elt, known)):
            return known.call("every", ast.ListComp(element, source.generators))
        return None
    if name == "any" and len(node.args) == 1 and isinstance(source := node.args[0], (ast.GeneratorExp, ast.ListComp)):
        element = deny(source.elt, as_far(known))
        return element and ast.Call(node.func, [ast.ListComp(element, source.generators)], [])
    if name == "all" and not node.args and isinstance(node.func, ast.Attribute):
        inner = deny(node.func.value, known)
        return inner and ast.Call(ast.Attribute(inner, "all", ast.Load()), [], node.keywords)
    if name in _PREFIXES and len(node.args) == 1 and isinstance(node.args[0], ast.Constant):
        return ast.Call(node.func, [shift(node.args[0], known)], [])
    return _deny_predicate(node, known, name)


def _deny_predicate(node: ast.Call, known: Known, name: str) -> ast.expr | None:
    """Deny a function of the tests, or of a library, that compares what was computed with a literal: `isclose(add(1, 2), 3)`."""
    if name in _NEEDS_A_CALL or len(node.args) < 2 or root_name(node) in known.imported | known.parameters | known.computed:
        return None
    ranks = [_rank(argument, known) for argument in node.args[:2]]
    place = ranks.index(min(ranks))
    expected = node.args[place]
    if ranks[place] > 1 or max(ranks) < 2 or is_flag(expected) or isinstance(expected, ast.BinOp):  # a sum is rather a limit
        return None
    arguments = [shift(argument, as_far(known)) if index == place else argument for index, argument in enumerate(node.args)]
    return ast.Call(node.func, arguments, node.keywords)


def is_flag(node: ast.expr) -> TypeGuard[ast.Constant]:
    """Whether an expression is True, False or None."""
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool))


def _rank(node: ast.expr, known: Known) -> int:
    """Return how much of `node` is the work of the code under test.

    0: a literal, 1: given by the test, 2: a result, 3: a call of something that is given or a result, 4: a call of the code under test.
    """
    rank = 0
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            root = root_name(part)
            rank = max(rank, 4 if root in known.imported else 3 if root in known.computed | known.parameters else 1)
        elif isinstance(part, ast.Name):
            rank = max(rank, 2 if part.id in known.computed else 1)
        elif not isinstance(part, (ast.Constant, ast.expr_context, ast.operator, ast.unaryop, ast.List, ast.Tuple, ast.Set, ast.Dict)):
            rank = max(rank, 1)
    return rank
