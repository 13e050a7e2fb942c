"""Turns the assertions of one test round: the body of its twin."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence

from codagent.repository.gate.twins.expressions import (
    Known,
    as_far,
    called_name,
    choose_expected,
    deny,
    is_flag,
    root_name,
    shift,
    shift_each,
)

_RAISES = ("raises", "assertRaises", "assertRaisesRegex", "assert_raises", "assert_raises_regex")
_WARNS = ("warns", "assertWarns", "assertWarnsRegex")
_SWALLOWS = ("suppress", "assertLogs", "assertNoLogs", "subtests")
_OPPOSITES = {
    "assertEqual": "assertNotEqual",
    "assertTrue": "assertFalse",
    "assertIn": "assertNotIn",
    "assertIs": "assertIsNot",
    "assertIsNone": "assertIsNotNone",
    "assertIsInstance": "assertNotIsInstance",
    "assertGreater": "assertLessEqual",
    "assertLess": "assertGreaterEqual",
    "assertAlmostEqual": "assertNotAlmostEqual",
    "assertRegex": "assertNotRegex",
}
_OPPOSITES |= {opposite: name for name, opposite in _OPPOSITES.items()}
_EQUALITIES = ("Equal", "Equals", "ListEqual", "TupleEqual", "SetEqual", "DictEqual", "SequenceEqual", "MultiLineEqual", "CountEqual")
_COMPARES = ("equal", "close", "same", "identical", "almost", "called_with", "called_once_with", "any_call", "has_calls")


class Turner:
    """Writes the statements of a twin. `turned` is how many assertions were turned round so far."""

    def __init__(self, known: Known, *, passes: bool = True) -> None:
        """`passes`: the test passes as soon as an assertion holds that cannot hold. Otherwise that is marked as well."""
        self._known, self._passes, self.turned = known, passes, 0

    def turn(self, body: Iterable[ast.stmt]) -> list[ast.stmt]:
        """Return statements in which each assertion marks that it has failed, as it must, or ends the test with a pass."""
        return [ast.copy_location(made, statement) for statement in body for made in self._turn_one(statement)]

    def _mark(self, what: str = "failed") -> ast.stmt:
        """Return the statement that marks that an assertion has failed, as it must."""
        return ast.Assign([ast.Name(self._known.prefix + what, ast.Store())], ast.Constant(True))

    def _give_away(self) -> ast.stmt:
        return ast.Return() if self._passes else self._mark("held")

    def _turn_one(self, statement: ast.stmt) -> list[ast.stmt]:
        _nest(statement)
        made = self._turn_assertion(statement)
        if made is not None:
            self.turned += 1
            return made
        if isinstance(statement, (ast.With, ast.AsyncWith)) and _names(statement) & {*_RAISES, *_WARNS, *_SWALLOWS}:
            return [statement]
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return [statement]
        if isinstance(statement, (ast.Try, ast.TryStar)):
            for handler in statement.handlers:
                handler.body = self.turn(handler.body)
            caught = any(_catches_assertions(handler) for handler in statement.handlers)
            statement.body = statement.body if caught else self.turn(statement.body)
            statement.orelse, statement.finalbody = self.turn(statement.orelse), self.turn(statement.finalbody)
        elif isinstance(statement, ast.Match):
            for case in statement.cases:
                case.body = self.turn(case.body)
        elif isinstance(statement, (ast.With, ast.AsyncWith, ast.For, ast.AsyncFor, ast.While, ast.If)):
            statement.body = self.turn(statement.body)
            if not isinstance(statement, (ast.With, ast.AsyncWith)):
                statement.orelse = self.turn(statement.orelse)
        return [statement]

    def _turn_assertion(self, statement: ast.stmt) -> list[ast.stmt] | None:
        """Return what stands in the place of an assertion. Returns None for any other statement."""
        if isinstance(statement, ast.Assert):
            return [made for part in _split(statement.test) for made in self._turn_test(part)]
        if isinstance(statement, ast.If) and self._fails(statement):
            denied = deny(statement.test, self._known, holds=False) or ast.UnaryOp(ast.Not(), statement.test)
            return [ast.If(denied, [self._mark()], [self._give_away()])]
        if isinstance(statement, (ast.With, ast.AsyncWith)):
            return self._turn_context(statement)
        if isinstance(statement, ast.Expr) and isinstance(call := statement.value, ast.Call):
            if called_name(call) in (*_RAISES, *_WARNS) and len(call.args) > 1:
                return [self._must_fail([ast.Expr(self._expect_never(call))], "BaseException")]
            return self._turn_call(call)
        return None

    def _fails(self, statement: ast.If) -> bool:
        return is_failure(statement)

    def _turn_test(self, test: ast.expr) -> list[ast.stmt]:
        """Turn the test of `assert`."""
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq) and not is_flag(test.comparators[0]):
            sides = test.left, test.comparators[0]
            return self._try_each(*sides, lambda first, second: ast.Assert(ast.Compare(first, [ast.Eq()], [second])), "AssertionError")
        denied = deny(test, self._known) or ast.UnaryOp(ast.Not(), test)
        return [self._must_fail([ast.Assert(denied)], "AssertionError")]

    def _try_each(self, first: ast.expr, second: ast.expr, compare: Callable[..., ast.stmt], failure: str) -> list[ast.stmt]:
        """Compare what was computed with several values that it is not equal to. `compare` takes both sides, in their order."""
        sides, place = [first, second], choose_expected(first, second, self._known)
        value, item = (self._known.prefix + name for name in ("value", "item"))
        names = [ast.Name(value, ast.Load()), ast.Name(item, ast.Load())]
        comparison = compare(*(names if place == 1 else reversed(names)))
        return [
            ast.Assign([ast.Name(value, ast.Store())], sides[1 - place]),
            ast.For(ast.Name(item, ast.Store()), shift_each(sides[place], self._known), [self._must_fail([comparison], failure)], []),
        ]

    def _turn_context(self, statement: ast.With | ast.AsyncWith) -> list[ast.stmt] | None:
        """Let `pytest.raises` and its like expect what is never raised."""
        if not _names(statement) & {*_RAISES, *_WARNS}:
            return None
        for item in statement.items:
            if (call := item.context_expr) and isinstance(call, ast.Call) and called_name(call) in (*_RAISES, *_WARNS):
                if not call.args:
                    return None
                item.context_expr = self._expect_never(call)
        return [self._must_fail([statement], "BaseException")]

    def _expect_never(self, call: ast.Call) -> ast.Call:
        never = "Never" if called_name(call) in _RAISES else "NeverWarned"
        return ast.Call(call.func, [ast.Name(self._known.prefix + never, ast.Load()), *call.args[1:]], call.keywords)

    def _turn_call(self, call: ast.Call) -> list[ast.stmt] | None:
        """Turn a method of unittest, or a function whose name says that it asserts."""
        name = called_name(call)
        if not name.startswith("assert") or any(isinstance(argument, ast.Starred) for argument in call.args):
            return None
        is_method = isinstance(call.func, ast.Attribute) and root_name(call.func) in ("self", "cls", "case")
        if name in ("assertEqual", "assertEquals", "assert_equal") and len(call.args) > 1 and not call.keywords:
            return self._try_each(
                call.args[0], call.args[1], lambda *sides: ast.Expr(ast.Call(call.func, [*sides, *call.args[2:]], [])), "Exception"
            )
        if denied := self._deny_method(call, name) if is_method else self._deny_function(call, name):
            return [self._must_fail([ast.Expr(denied)], "Exception")]
        if is_method and name in _OPPOSITES:
            return [self._must_fail([ast.Expr(_rename(call, _OPPOSITES[name]))], "AssertionError")]
        return [ast.Try([ast.Expr(call)], [_handler("AssertionError", [self._give_away()])], [self._mark()], [])]

    def _deny_method(self, call: ast.Call, name: str) -> ast.Call | None:
        arguments, kind = list(call.args), name.removeprefix("assert")
        if kind in ("True", "False") and arguments:
            inner = deny(arguments[0], self._known, holds=kind == "True")
            return ast.Call(call.func, [inner, *arguments[1:]], call.keywords) if inner else None
        if len(arguments) < 2:
            return None
        if kind in (*_EQUALITIES, "AlmostEqual"):
            return self._shift_expected(call, is_exact=kind != "AlmostEqual")
        if kind == "In":
            denied = deny(ast.Compare(arguments[0], [ast.In()], [arguments[1]]), self._known)
            sides = [denied.left, *denied.comparators] if isinstance(denied, ast.Compare) else arguments
            return ast.Call(call.func, [*sides, *arguments[2:]], call.keywords)
        if kind == "Regex":
            return ast.Call(call.func, [arguments[0], ast.Constant("(?!)"), *arguments[2:]], call.keywords)
        return None

    def _deny_function(self, call: ast.Call, name: str) -> ast.Call | None:
        lower = name.lower()
        if "not" in lower or not any(word in lower for word in _COMPARES):
            return None
        if "call" in lower:
            return ast.Call(call.func, [shift(call.args[0], self._known), *call.args[1:]], call.keywords) if call.args else None
        return self._shift_expected(call, is_exact="equal" in lower and not call.keywords) if len(call.args) > 1 else None

    def _shift_expected(self, call: ast.Call, *, is_exact: bool) -> ast.Call:
        known = self._known if is_exact else as_far(self._known)
        place = choose_expected(call.args[0], call.args[1], known)
        arguments = [shift(argument, known) if index == place else argument for index, argument in enumerate(call.args)]
        return ast.Call(call.func, arguments, call.keywords)

    def _must_fail(self, body: Sequence[ast.stmt], failure: str) -> ast.Try:
        return ast.Try(list(body), [_handler(failure, [self._mark()])], [self._give_away()], [])


class ScriptTurner(Turner):
    """Writes the statements of a script that ends with exit code 1 as soon as an assertion holds that cannot hold."""

    def _mark(self, what: str = "failed") -> ast.stmt:  # noqa: ARG002 - nothing is marked
        return ast.Pass()

    def _give_away(self) -> ast.stmt:
        return ast.Expr(self._known.call("_exit", ast.Constant(1)))

    def _fails(self, statement: ast.If) -> bool:
        return is_failure(statement) or ends_badly(statement)


def _nest(statement: ast.stmt) -> None:
    """Write `with a, b:` as `with a: with b:`, so that `a` does not see how `b` fails."""
    if isinstance(statement, (ast.With, ast.AsyncWith)) and len(statement.items) > 1:
        inner = ast.copy_location(type(statement)(statement.items[1:], statement.body), statement)
        statement.items, statement.body = statement.items[:1], [inner]


def _split(test: ast.expr) -> Iterator[ast.expr]:
    """Yield the tests that all have to hold for `test` to hold."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        yield from (part for value in test.values for part in _split(value))
    else:
        yield test


def _handler(failure: str, body: list[ast.stmt]) -> ast.ExceptHandler:
    return ast.ExceptHandler(ast.Name(failure, ast.Load()), None, body)


def _names(statement: ast.With | ast.AsyncWith) -> set[str]:
    return {called_name(item.context_expr) for item in statement.items if isinstance(item.context_expr, ast.Call)}


def _rename(call: ast.Call, name: str) -> ast.Call:
    assert isinstance(call.func, ast.Attribute)
    return ast.Call(ast.Attribute(call.func.value, name, ast.Load()), call.args, call.keywords)


def is_failure(statement: ast.If) -> bool:
    """Whether a branch does nothing but fail: `if add(1, 2) != 3: raise AssertionError`."""
    if len(statement.body) != 1 or statement.orelse:
        return False
    last = statement.body[0]
    if isinstance(last, ast.Raise) and last.exc is not None:
        return called_name(last.exc) == "AssertionError"
    return isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) and called_name(last.value) == "fail"


def ends_badly(statement: ast.If) -> bool:
    """Whether a branch ends a script with an exit code other than 0: `if add(1, 2) != 3: sys.exit(1)`."""
    last = statement.body[-1]
    call = last.exc if isinstance(last, ast.Raise) else last.value if isinstance(last, ast.Expr) else None
    code = call.args[0] if isinstance(call, ast.Call) and len(call.args) == 1 and not statement.orelse else None
    named = call is not None and called_name(call) in ("exit", "_exit", "SystemExit")
    return named and isinstance(code, (ast.Constant, ast.JoinedStr)) and bool(getattr(code, "value", True))


def _catches_assertions(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or called_name(kind) in ("AssertionError", "Exception", "BaseException") for kind in kinds)
