"""What the protected tests expect and how they compare, as far as that stands outside of the tests: values, helpers and data files."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

from codagent.repository.gate.suspicion.reach import Change, parse
from codagent.repository.git import TESTS

_PACKAGES = ("", "src/", "lib/")
_NO_DATA = (".py", ".md", ".rst", ".toml", ".cfg", ".lock")
_RUNNERS = {"importlib", "os", "runpy", "subprocess", "sys"}  # modules by which a test can run code that it does not import
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Expectations:
    """What the tests of a commit use that is not in the tests."""

    values: frozenset[tuple[str, str]] = frozenset()  # a module's path, and the name of a value or of a helper that compares
    data: frozenset[str] = frozenset()  # paths of files that are no modules
    helpers: frozenset[str] = frozenset()  # paths of modules that are made for pytest: fixtures, plugins

    def find_changed(self, changes: Iterable[Change]) -> list[str]:
        """Return a line for each thing that the tests expect and that a change alters or removes."""
        lines = []
        for path, before, now in changes:
            if path in self.data and before:
                lines.append(f"{path}: the tests read this file")
            names = sorted(name for module, name in self.values if module == path)
            was, becomes = (parse(before), parse(now)) if names else (None, None)
            lines += [f"{path}: the tests compare with {n}" for n in names if _definition(was, n) != _definition(becomes, n)]
        return lines


def read_expectations(paths: Sequence[str], read: Callable[[str], bytes], scripts: Iterable[str] = ()) -> Expectations:
    """Read what the tests among `paths`, and the scripts that checks run, use."""
    load = cache(lambda module: parse(read(module)))  # tests take many names from few modules
    known, judges = set(paths), [path for path in {*paths, *scripts} if path.endswith(".py") and (path in scripts or TESTS.search(path))]
    values: set[tuple[str, str]] = set()
    data: set[str] = set()
    helpers: set[str] = set()
    for path in judges:
        tree = parse(read(path))
        if tree is None:
            continue
        imports = [(module, name) for module, name in dict.fromkeys(_imports(tree, path, known)) if module not in scripts]
        compared, judging = (
            set(_compared_names(tree)),
            {*_parametrising_names(tree), *_comparing_names(tree, {name: module for module, name in imports})},
        )
        values |= {(module, name) for module, star in imports if star == "*" for name in _foreign_names(tree)}
        for module, name in imports:
            used = load(module)
            if "pytest" in _imported_roots(used):
                helpers.add(module)
            elif (name.rpartition(".")[2] in compared and _is_value(used, name)) or name in judging or _is_helper(used, name):
                values.add((module, name))
        if imports or not _RUNNERS.isdisjoint(name.partition("/")[0] for name, _, _ in _import_names(tree, path)):
            data |= _named_data(tree, known)  # a test that runs no code judges the files themselves
    return Expectations(frozenset(values), frozenset(data), frozenset(helpers))


def _imports(tree: ast.Module, path: str, known: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the modules outside of the tests that a test imports, each with a name that it takes from there: `add`, `Limits.MOST`."""
    modules: dict[str, str] = {}
    names: dict[str, str] = {}
    for base, name, bound in _import_names(tree, path):
        if name and (found := _find_module(base, path, known)):
            names[bound] = found
            yield found, name
        if found := _find_module(f"{base}/{name}".strip("/"), path, known):
            modules[bound] = found
            yield found, ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            first, _, rest = owner.rpartition(".")
            if module := modules.get(owner):
                yield module, node.attr
            elif module := names.get(owner) or modules.get(first):
                yield module, f"{rest}.{node.attr}"


def _import_names(tree: ast.Module, path: str) -> Iterator[tuple[str, str, str]]:
    """Yield for each import the path of the module, the name that is taken from it ("": none), and the name in the test."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            above = PurePosixPath(path).parents[node.level - 1].parts if 0 < node.level < path.count("/") + 2 else ()
            base = "/".join([*above, *(node.module or "").split(".")]).strip("/")
            yield from ((base, alias.name, alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name.replace(".", "/"), "", alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.Assign) and "pytest_plugins" in _defined_names(node):
            texts = [part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
            yield from ((text.replace(".", "/"), "", text) for text in texts)


def _find_module(name: str, path: str, known: set[str]) -> str:
    """Return the file of a module outside of the tests; "" when there is none."""
    for folder in (*_PACKAGES, f"{PurePosixPath(path).parent}/"):
        for file in (f"{folder}{name}.py", f"{folder}{name}/__init__.py"):
            if name and file in known and not TESTS.search(file):
                return file
    return ""


def _compared_names(tree: ast.Module) -> Iterator[str]:
    """Yield the names that stand in comparisons, in arguments of assertions, and in parametrisations."""
    for node in ast.walk(tree):
        places: list[ast.AST] = []
        if isinstance(node, ast.Assert):
            places = [part for part in ast.walk(node) if isinstance(part, (ast.Compare, ast.comprehension))]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2].startswith(("assert", "parametrize")):
            places = [*node.args, *node.keywords]
        elif isinstance(node, ast.For):
            places = [node.iter]
        for part in (part for place in places for part in ast.walk(place)):
            if isinstance(part, (ast.Name, ast.Attribute)):
                yield part.id if isinstance(part, ast.Name) else part.attr


def _parametrising_names(tree: ast.Module) -> Iterator[str]:
    """Yield the names of what makes the cases of parametrised tests."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("parametrize"):
            yield from (part.id for argument in node.args[1:] for part in ast.walk(argument) if isinstance(part, ast.Name))


def _comparing_names(tree: ast.Module, modules: Mapping[str, str]) -> Iterator[str]:
    """Yield the functions that compare what another module returns with a literal: `assert same(add(1, 2), 3)`."""
    for node in (part for test in ast.walk(tree) if isinstance(test, ast.Assert) for part in ast.walk(test)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and any(isinstance(part, ast.Constant) for part in node.args):
            inner = [ast.unparse(part.func) for part in node.args if isinstance(part, ast.Call)]
            if any(name in modules and modules[name] != modules.get(node.func.id) for name in inner):
                yield node.func.id


def _foreign_names(tree: ast.Module) -> set[str]:
    """Return the names that a test uses and that are of Python or that it imports, which `from calc import *` may replace."""
    bound = {alias.asname or alias.name for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names}
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and (node.id in bound or hasattr(builtins, node.id))}


def _named_data(tree: ast.Module, known: set[str]) -> set[str]:
    """Return the files outside of the tests that texts of a test name, and that are no modules.

    They are named in whole, by their last part, or by a folder and a pattern or an ending: `cases`, `*.json`.
    """
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    names = {text.removeprefix("./") for text in texts if 2 < len(text) < 200 and "." in text}
    endings = {text.rpartition("/")[2].lstrip("*") for text in names if "*" in text or text.startswith(".")}
    folders = {text.partition("*")[0].strip("/") for text in texts} - {""}
    files = {file for file in known if not file.endswith(_NO_DATA) and not TESTS.search(file)}
    listed = {file for file in files if file.endswith(tuple(endings)) and any(file.startswith(f"{folder}/") for folder in folders)}
    return listed | {file for file in files if file in names or PurePosixPath(file).name in names}


def _imported_roots(tree: ast.Module | None) -> set[str]:
    imports = [node for node in (tree.body if tree else ()) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = [node.module or "" if isinstance(node, ast.ImportFrom) else alias.name for node in imports for alias in node.names]
    return {name.partition(".")[0] for name in names}


def _definitions(tree: ast.Module | None, name: str) -> list[ast.stmt]:
    """Return the statements that define a name of a module, or of a class in it."""
    body: Sequence[ast.stmt] = tree.body if tree else ()
    owner, _, name = name.rpartition(".")
    if owner:
        body = [statement for node in body if isinstance(node, ast.ClassDef) and node.name == owner for statement in node.body]
    return [node for node in body if name in _defined_names(node)]


def _definition(tree: ast.Module | None, name: str) -> str:
    return "\n".join(ast.unparse(node) for node in _definitions(tree, name))


def _defined_names(node: ast.stmt) -> set[str]:
    if isinstance(node, _DEFINITIONS):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, (ast.AnnAssign, ast.AugAssign)) else []
    return {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}


def _is_value(tree: ast.Module | None, name: str) -> bool:
    return any(not isinstance(node, _DEFINITIONS) for node in _definitions(tree, name))


def _is_helper(tree: ast.Module | None, name: str) -> bool:
    """Whether a name is that of a function that does nothing but compare what it is given."""
    return any(isinstance(node, _DEFINITIONS) and _compares_arguments(node) for node in _definitions(tree, name))


def _compares_arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    is_text = isinstance(function.body[0], ast.Expr) and isinstance(function.body[0].value, ast.Constant)
    body = function.body[1:] if is_text else function.body
    return bool(body) and len(function.args.args) > 1 and all(isinstance(node, ast.Assert) for node in body)
