"""Looks at one node of a syntax tree for what honest work hardly ever needs."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from codagent.repository.gate.suspicion.reaching_names import ALWAYS, ATTRIBUTES, HIDDEN, INNER, MODULES, OF_MODULES, TEXT

_RUNS_TEXT = ("exec", "compile", "__import__")
_LOADS = {"pickle", "marshal", "dill", "cloudpickle"}
_DECODES = {"b64decode", "urlsafe_b64decode", "b32decode", "a85decode", "b85decode", "unhexlify", "decompress"}
_DECODERS = {"base64", "b64decode", "binascii", "unhexlify", "codecs", "decode", "zlib", "decompress"}
_COMPARISONS = {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"}
_CHANGES = {"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "clear", "write", "__setattr__"}
_NEW = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_NUMBERS = {"int", "float", "complex", "Decimal", "Fraction", "decimal.Decimal", "fractions.Fraction"}
_PARSER_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of the module in which a node stands."""

    external: Mapping[str, str]  # the names of what is imported from elsewhere than the repository, and the module each is of
    tests: frozenset[str]  # the names of the tests and of their modules
    exits: bool = False  # whether the end of the program as if all were well is to be found

    def find(self, node: ast.expr | ast.stmt) -> Iterator[str]:
        """Yield what a node reaches for, without what the nodes in it do."""
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from self._find_in_import(node)
        elif isinstance(node, (ast.Attribute, ast.Name)):
            yield from self._find_in_name(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from self._find_in_text(node.value)
        elif isinstance(node, (ast.BinOp, ast.Subscript)) and (text := _fold(node)) is not None:
            yield from self._find_in_text(text)
        elif isinstance(node, ast.Call):
            yield from self._find_in_text(_fold(node) or "")
            yield from self._find_in_call(node)
        elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)):
            yield from self._find_in_targets(node)
        elif isinstance(node, ast.FunctionDef) and node.name in _COMPARISONS:
            yield from _find_in_comparison(node)
        elif isinstance(node, ast.ClassDef) and _NUMBERS.intersection(map(ast.unparse, node.bases)):
            compared = [part.name for part in node.body if isinstance(part, ast.FunctionDef) and part.name in _COMPARISONS]
            yield from (f"{name} of a number compares in a way of its own" for name in compared)
        elif self.exits and isinstance(node, ast.Raise) and node.exc is not None and _ends_well(node.exc):
            yield "ends the program as if all were well"

    def _find_in_name(self, node: ast.Attribute | ast.Name) -> Iterator[str]:
        name = node.id if isinstance(node, ast.Name) else node.attr
        owner = node.value if isinstance(node, ast.Attribute) else None
        if name == "__builtins__" or (owner and (name in ATTRIBUTES or (self._module(owner), name) in OF_MODULES)):
            yield f"reaches for {name}"
        if isinstance(owner, ast.Name) and owner.id in self.external:
            if name == "__dict__":
                yield f"reaches into {owner.id}"
            if name in HIDDEN:
                yield f"reaches for {name}"

    def _find_in_import(self, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        names = [alias.name for alias in node.names]
        yield from (f"imports the test {p}" for name in (module, *names) for p in name.split(".") if p in self.tests)
        roots = [module.partition(".")[0]] if module else [name.partition(".")[0] for name in names]
        if isinstance(node, ast.ImportFrom) and (node.level or not module):
            return
        yield from (f"reaches for {root}" for root in roots if root in MODULES)
        if module:
            yield from (f"reaches for {name}" for name in names if name in ATTRIBUTES or (roots[0], name) in OF_MODULES)
        if (names == ["*"] and roots[0] in INNER) or "__dict__" in names:
            yield f"takes all of {roots[0]}"

    def _find_in_text(self, text: str) -> Iterator[str]:
        if (match := TEXT.search(text)) and "\n" not in text:
            yield f"names {match[0]!r}"
        elif text in ATTRIBUTES - {"uname", "monitoring"}:
            yield f"names {text!r}"
        elif "\n" not in text and not self.tests.isdisjoint(re.findall(r"\w+", text)):
            yield f"names the test {text!r}"

    def _find_in_call(self, node: ast.Call) -> Iterator[str]:
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
        plain, first = isinstance(node.func, ast.Name), node.args[0] if node.args else None
        if self.exits and name in ("exit", "quit") and _ends_well(node):
            yield "ends the program as if all were well"
        if any(keyword.arg == "capture_locals" for keyword in node.keywords):
            yield "reaches for capture_locals"
        if first is None:
            return
        value = first.value if isinstance(first, ast.Constant) else None
        text = value if isinstance(value, str) else None
        if (plain and name in _RUNS_TEXT and text is None) or (name in ("eval", "import_module") and self._is_disguised(first)):
            yield f"calls {name} with a text that it makes"
        if (plain and name in (*_RUNS_TEXT, "eval")) or name == "import_module":
            yield from self._find_in_code(f"import {text}" if text and "import" in name else text)
        is_loaded = name == "loads" and self._module(getattr(node.func, "value", node.func)) in _LOADS
        if isinstance(value, (bytes, str)) and (is_loaded or name in _DECODES):
            yield "loads what a text holds"
        if name in ("setattr", "delattr", "__setattr__", "__delattr__") and root_name(first) in self.external:
            yield f"replaces something in {ast.unparse(first)}"
        if plain and name == "vars" and root_name(first) in self.external:
            yield f"reaches into {ast.unparse(first)}"
        if plain and name == "getattr" and len(node.args) > 1:
            yield from self._find_in_getattr(first, node.args[1])

    def _find_in_getattr(self, owner: ast.expr, name: ast.expr) -> Iterator[str]:
        module = self._module(owner)
        if isinstance(name, ast.Constant):
            if isinstance(name.value, str) and (module, name.value) in OF_MODULES:
                yield f"reaches for {name.value}"
        elif module in INNER or self._is_disguised(name):
            yield f"takes something of {ast.unparse(owner)} by a name that it makes"

    def _find_in_code(self, text: object) -> Iterator[str]:
        try:
            inner = ast.parse(text) if isinstance(text, str) else ast.Module([], [])
        except _PARSER_ERRORS:
            return
        look = Look(dict(list_external(inner, frozenset())), self.tests)
        yield from (what for part in ast.walk(inner) if isinstance(part, (ast.expr, ast.stmt)) for what in look.find(part))

    def _find_in_targets(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete) -> Iterator[str]:
        targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else [node.target]
        for target in targets:
            if isinstance(target, ast.Attribute) and root_name(target) in self.external:
                yield f"replaces {ast.unparse(target)}"
            value = node.value if isinstance(node, ast.Assign) else None
            if isinstance(target, ast.Name) and target.id in ALWAYS and isinstance(value, ast.Lambda):
                yield from _find_in_comparison(value, target.id)

    def _module(self, node: ast.expr) -> str:
        """Return the last name of the module that an expression may stand for: "sys" for `sys`, `s` after `import sys as s`, `os.sys`."""
        return self.external.get(node.id, "") if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""

    def _is_disguised(self, node: ast.expr) -> bool:
        """Whether a text is made of nothing but constants, and so could have been written as it is."""
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        return not isinstance(node, (ast.Constant, ast.Name)) and all(
            hasattr(builtins, name) or self.external.get(name) in _DECODERS for name in names
        )


def list_external(tree: ast.AST, own: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield the names that stand for what is imported from elsewhere than the repository, whose modules are `own`, and its module."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots = ((a.asname or a.name.partition(".")[0], a.name if a.asname else a.name.partition(".")[0]) for a in node.names)
            found |= {name: module for name, module in roots if module.partition(".")[0] not in own}
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] not in own:
            found |= {alias.asname or alias.name: alias.name for alias in node.names}
    for node in ast.walk(tree):  # other names for the same
        if isinstance(node, ast.Assign) and isinstance(node.value, (ast.Name, ast.Attribute)) and root_name(node.value) in found:
            found |= {target.id: ast.unparse(node.value).rpartition(".")[2] for target in node.targets if isinstance(target, ast.Name)}
    yield from found.items()


def _fold(node: ast.AST) -> str | None:
    """Return a text that is put together out of constants: by `+`, `join` or a step of -1. Returns None for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    parts: list[str | None] = [None]
    between = ""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [_fold(node.left), _fold(node.right)]
    elif isinstance(node, ast.Subscript) and ast.unparse(node.slice) == "::-1" and (text := _fold(node.value)):
        parts = [text[::-1]]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join" and len(node.args) == 1:
        between = _fold(node.func.value) or ""
        parts = [_fold(part) for part in node.args[0].elts] if isinstance(node.args[0], (ast.List, ast.Tuple)) else [None]
    texts = [part for part in parts if part is not None]
    return between.join(texts) if len(texts) == len(parts) else None


def root_name(node: ast.expr) -> str:
    """Return the name that an expression begins with, `a` of `a.b[0]`; "" when it begins with something else."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _find_in_comparison(function: ast.FunctionDef | ast.Lambda, name: str = "") -> Iterator[str]:
    """Yield what is strange about a method that compares: one that says something does not look at its own object."""
    name, arguments = name or getattr(function, "name", ""), function.args.args
    body = function.body if isinstance(function.body, list) else [ast.Return(function.body)]
    nodes = [part for statement in body for part in ast.walk(statement)]
    says = any(isinstance(node, ast.Return) and ast.unparse(node.value or node) != "NotImplemented" for node in nodes)
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    if name in ALWAYS and says and not (arguments and arguments[0].arg in names) and "super" not in names:
        yield f"{name} {ALWAYS[name]}"
    if any(_changes_something(node, set(_list_collections(nodes))) for node in nodes):
        yield f"{name} changes something when it compares"


def _changes_something(node: ast.AST, own: set[str]) -> bool:
    """Whether a node changes what is still there when its function has ended. `own` are names of collections that the function makes."""
    if isinstance(node, (ast.Attribute, ast.Subscript)):
        return not isinstance(node.ctx, ast.Load) and root_name(node) not in own
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in _CHANGES and root_name(node.func) not in own
    return isinstance(node, (ast.Global, ast.Nonlocal))


def _list_collections(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names to which a new collection is assigned."""
    for node in nodes:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, _NEW):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _ends_well(node: ast.expr) -> bool:
    """Whether `exit(0)`, `SystemExit(0)` or `SystemExit` ends the program with the exit code of success."""
    if isinstance(node, ast.Call):
        is_exit = ast.unparse(node.func).rpartition(".")[2] in ("exit", "quit", "SystemExit")
        return is_exit and (not node.args or (isinstance(node.args[0], ast.Constant) and not node.args[0].value))
    return isinstance(node, ast.Name) and node.id == "SystemExit"
