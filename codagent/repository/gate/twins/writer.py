"""Writes a test file in which some of the tests are twins."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from codagent.repository.gate.twins.assertions import ScriptTurner, Turner, ends_badly, is_failure
from codagent.repository.gate.twins.expressions import Known

_INLINE = Path(__file__).with_name("inline.py")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.ClassDef, ast.Lambda)
_REPEATS = ("given", "retry", "flaky")  # decorators that run a test again when it fails
_PARSER_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)


Ending = Literal["fails", "passes"]


@dataclass(frozen=True, slots=True)
class TwinSource:
    """A text that stands in the place of a test file."""

    text: str
    lines: list[int]  # where each statement stood, in the order of `ast.walk`


@dataclass(frozen=True, slots=True)
class Written:
    """A test file with twins."""

    source: TwinSource
    twins: frozenset[str]  # the tests that are twins, `TestPrice::test_total`
    without: frozenset[str]  # the tests that can have none


def write_twins(
    source: str, chosen: Callable[[str], bool], known: Known, modules: frozenset[str], *, inverse: bool = False
) -> Written | None:
    """Write the twins of the tests that are `chosen` by their names. Returns None when the source cannot be read.

    `modules` are the names that modules of the code under test are imported by. An `inverse` twin passes where the twin fails, and fails
    where it passes: it is for a check of which only the exit code is known.
    """
    try:
        tree = ast.parse(source)
    except _PARSER_ERRORS:
        return None
    tests = list(_find_tests(tree, ""))
    if not tests:
        return Written(TwinSource(source, []), frozenset(), frozenset())
    known = replace(known, imported=frozenset(_imported_names(tree, modules)))
    twins: dict[str, bool] = {}
    for name, function in tests:
        if chosen(function.name):
            twins[name] = _write_twin(function, known, inverse) and twins.get(name, True)
    place = _after_imports_of_the_future(tree)
    tree.body[place:place] = _inlined(known)
    try:
        text = ast.unparse(ast.fix_missing_locations(tree))
        ast.parse(text)
    except _PARSER_ERRORS:
        return None
    made_source = TwinSource(text + "\n", _list_lines(tree))
    return Written(made_source, frozenset(n for n, made in twins.items() if made), frozenset(n for n, made in twins.items() if not made))


def write_script(source: str, known: Known, modules: frozenset[str]) -> str | None:
    """Write the inverse twin of a script: it fails when something agrees with anything. Returns None when the script asserts nothing."""
    try:
        tree = ast.parse(source)
        nodes = list(ast.walk(tree))
        known = replace(known, imported=frozenset(_imported_names(tree, modules)), computed=frozenset(_computed_names(nodes)))
        turner = ScriptTurner(known)
        for node in nodes:
            if isinstance(node, (*_FUNCTIONS, ast.Module)):
                node.body = turner.turn(node.body)
        place = _after_imports_of_the_future(tree)
        tree.body[place:place] = _inlined(known)
        return ast.unparse(ast.fix_missing_locations(tree)) + "\n" if turner.turned else None
    except _PARSER_ERRORS:
        return None


def write_ending(source: str, ending: Ending) -> str | None:
    """Write a test file in which every test just fails, or just passes. Returns None when the source cannot be read."""
    try:
        tree = ast.parse(source)
        for _, function in _find_tests(tree, ""):
            function.body = [ast.Raise(ast.Name("AssertionError", ast.Load())) if ending == "fails" else ast.Pass()]
        return ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    except _PARSER_ERRORS:
        return None


def end_script(source: str, ending: Ending) -> str | None:
    """Write a script in which each assertion computes what it tests and then fails, or in which there are none.

    Returns None when the script asserts nothing, or cannot be read.
    """
    try:
        tree, ender = ast.parse(source), _AssertionEnder(ending)
        text = ast.unparse(ast.fix_missing_locations(ender.visit(tree))) + "\n"
        return text if ender.ended else None
    except _PARSER_ERRORS:
        return None


class _AssertionEnder(ast.NodeTransformer):
    """Lets the assertions of a script, and what exits with an error, do that always or never."""

    def __init__(self, ending: Ending) -> None:
        self._ending, self.ended = ending, 0

    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt] | ast.stmt:
        self.ended += 1
        failure = ast.Raise(ast.Name("AssertionError", ast.Load()))
        return [ast.Expr(node.test), failure] if self._ending == "fails" else ast.Pass()

    def visit_If(self, node: ast.If) -> list[ast.stmt] | ast.stmt | ast.AST:
        is_assertion = is_failure(node) or ends_badly(node)
        return self.visit_Assert(ast.Assert(node.test)) if is_assertion else self.generic_visit(node)


def _list_lines(tree: ast.Module) -> list[int]:
    """Return the line of each statement. A function begins with its decorators."""
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    return [min([node.lineno, *(part.lineno for part in getattr(node, "decorator_list", []))]) for node in statements]


def _find_tests(node: ast.AST, above: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS):
            if child.name.startswith("test"):
                yield f"{above}{child.name}", child
        elif isinstance(child, ast.ClassDef):
            yield from _find_tests(child, f"{above}{child.name}::")
        else:
            yield from _find_tests(child, above)


def _write_twin(function: ast.FunctionDef | ast.AsyncFunctionDef, known: Known, inverse: bool) -> bool:
    """Replace the body of a test by that of its twin. Returns False when the test can have none, and then does what it did."""
    if any(_decorates(decorator) for decorator in function.decorator_list):
        return False
    own = list(_own_nodes(function))
    if any(isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)) for node in own):
        return False
    arguments = function.args
    names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    known = replace(known, parameters=frozenset(name.arg for name in names), computed=frozenset(_computed_names(own)))
    turner = Turner(known, passes=not inverse)
    body = turner.turn(function.body)
    if not turner.turned:
        return False
    failed, held = (ast.Name(known.prefix + name, ast.Load()) for name in ("failed", "held"))
    marked = ast.BoolOp(ast.Or(), [failed, held])
    # A twin that breaks before its first assertion came to none. An inverse one must fail then, so that its exit code tells.
    ended = ast.If(ast.UnaryOp(ast.Not(), marked), [ast.Raise()], []) if inverse else ast.Pass()
    function.body = [
        ast.Assign([ast.Name(name.id, ast.Store()) for name in (failed, held)], ast.Constant(False)),
        ast.Try(body, [ast.ExceptHandler(ast.Name("BaseException", ast.Load()), None, [ended])], [], []),
        ast.If(held if inverse else failed, [ast.Raise(ast.Name("AssertionError", ast.Load()))], []),
        ast.If(ast.UnaryOp(ast.Not(), marked), [ast.Raise(ast.Name(f"{known.prefix}SkipTest", ast.Load()))], []),
    ]
    return True


def _decorates(decorator: ast.expr) -> bool:
    words = {
        node.id if isinstance(node, ast.Name) else node.attr for node in ast.walk(decorator) if isinstance(node, (ast.Name, ast.Attribute))
    }
    return bool(words & {*_REPEATS, "fixture", "property"})


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function, without those of functions and classes in it."""
    for child in ast.iter_child_nodes(function):
        yield child
        if not isinstance(child, _SCOPES):
            yield from _own_nodes(child)


def _computed_names(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the variables that a call gave their value."""
    for node in nodes:
        targets: list[ast.expr | None] = []
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.For, ast.AsyncFor, ast.AugAssign)):
            value = node.iter if isinstance(node, (ast.For, ast.AsyncFor)) else node.value
            if value is not None and any(isinstance(part, (ast.Call, ast.Await)) for part in ast.walk(value)):
                targets = list(node.targets) if isinstance(node, ast.Assign) else [node.target]
        elif isinstance(node, ast.withitem):
            targets = [node.optional_vars]
        yield from (part.id for target in targets if target for part in ast.walk(target) if isinstance(part, ast.Name))


def _imported_names(tree: ast.Module, modules: frozenset[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").partition(".")[0] in modules):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names if alias.name.partition(".")[0] in modules)


def _after_imports_of_the_future(tree: ast.Module) -> int:
    for place, node in enumerate(tree.body):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not is_text and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            return place
    return len(tree.body)


@functools.lru_cache(maxsize=1)  # both halves of a file have the same
def _inlined(known: Known) -> list[ast.stmt]:
    """Return the code of `inline` with the values of `known`, and with names that begin with its prefix."""
    tree = ast.parse(_INLINE.read_text())
    values: dict[str, int | str] = {"STEP": known.step, "NUMBER": known.number, "TAG": known.tag}
    constants = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id.isupper()}
    imported = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    defined = {node.name for node in tree.body if isinstance(node, (*_FUNCTIONS, ast.ClassDef))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and (name := ast.unparse(node.targets[0])) in values:
            node.value = ast.Constant(values[name])
        elif isinstance(node, ast.Name) and node.id in {*imported, *defined, *constants}:
            node.id = known.prefix + node.id
        elif isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            node.name, node.body = known.prefix + node.name, node.body[1:] or [ast.Pass()]  # without docstrings
        elif isinstance(node, ast.alias):
            node.asname = known.prefix + node.name
        if isinstance(node, (ast.stmt, ast.expr)):
            node.lineno = 1
    return tree.body[1:]
