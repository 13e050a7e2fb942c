"""Finds changes that reach for the interpreter or for the runner of the tests, where the file did not before. Pure functions.

Honest work hardly ever needs that. Whoever cheats from inside the tests' process does.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from codagent.repository.gate.suspicion.looks import Look, list_external, root_name
from codagent.repository.gate.suspicion.reaching_names import AT_IMPORT, OTHER_LANGUAGES, TEXT
from codagent.repository.git import TESTS

_CHANCE = {"random", "secrets", "uuid", "time", "urandom", "getpid", "hash", "id", "monotonic", "perf_counter"}
_TEST_MODULE = re.compile(r"test_\w+|\w+_test|conftest")
_COMPILED = (".so", ".pyd", ".dll", ".dylib")
_MAX_BYTES = 1_000_000
_PARSER_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)

Change = tuple[str, bytes, bytes]  # a path, and what it was and is; b"": the file did not exist


def find_reaches(
    changes: Iterable[Change], modules: frozenset[str], tests: frozenset[str] = frozenset(), *, exits: bool = False
) -> list[str]:
    """Return a line for each place at which a change reaches for what honest work does not need: `calc.py:3: reaches for ctypes`.

    `modules` are the names by which modules of the repository are imported, `tests` are what `list_test_names` returns. With `exits`, a
    check has only an exit code, so code that ends the program as if all were well is found, too.
    """
    lines = []
    for path, before, now in list_code(changes):
        known = {what for _, what in _reaches(path, before, modules, tests, exits)}
        lines += [f"{path}:{line}: {what}" for line, what in sorted(_reaches(path, now, modules, tests, exits)) if what not in known]
    return list(dict.fromkeys(lines))


def list_code(changes: Iterable[Change]) -> list[Change]:
    """Return the changes without those of tests that no code imports."""
    changes = list(changes)
    imported = {name for path, _, now in changes if not TESTS.search(path) for name in _possible_imports(now)}
    return [change for change in changes if not TESTS.search(change[0]) or PurePosixPath(change[0]).stem in imported]


def list_test_names(path: str, source: bytes) -> Iterator[str]:
    """Yield the name of a module of tests and those of its tests."""
    if _TEST_MODULE.fullmatch(stem := PurePosixPath(path).stem):
        yield stem
    nodes = ast.walk(parse(source) or ast.Module([], []))
    yield from (node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"))


def depends_on_chance(changes: Iterable[Change]) -> bool:
    """Whether a change brings in random numbers, the time, or something else that is another one in each run."""
    return any(_names(now) & _CHANCE - _names(before) for path, before, now in changes if not TESTS.search(path))


def _names(source: bytes) -> set[str]:
    """Return what a module imports and calls."""
    calls = (node.func for node in ast.walk(parse(source) or ast.Module([], [])) if isinstance(node, ast.Call))
    called = {node.attr if isinstance(node, ast.Attribute) else root_name(node) for node in calls}
    return called | set(_imported_modules(source))


def parse(source: bytes) -> ast.Module | None:
    """Return the syntax tree of a module. Returns None when it cannot be read."""
    try:
        return ast.parse(source[:_MAX_BYTES])
    except _PARSER_ERRORS:
        return None


def _imported_modules(source: bytes) -> Iterator[str]:
    tree = parse(source)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.ImportFrom):
            yield from (node.module or "").split(".")
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in alias.name.split("."))


def _possible_imports(source: bytes) -> Iterator[str]:
    """Yield the names in imports, and the words of texts that may be given to `import_module`."""
    yield from _imported_modules(source)
    for node in ast.walk(parse(source) or ast.Module([], [])):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            yield from re.findall(r"\w+", node.value)


def _reaches(path: str, source: bytes, modules: frozenset[str], tests: frozenset[str], exits: bool) -> set[tuple[int, str]]:
    if path.endswith(_COMPILED) and source:
        return {(1, "is compiled code")}
    tree = parse(source) if path.endswith((".py", ".pyi", ".pyx")) else None
    if tree is None:
        text = source[:_MAX_BYTES].decode(errors="replace")
        if path.endswith((".md", ".rst", ".txt", ".toml", ".cfg", ".yml", ".yaml", ".lock")):
            return set()
        patterns = [TEXT, *(pattern for endings, pattern in OTHER_LANGUAGES.items() if exits and path.endswith(endings))]
        lines = enumerate(text.splitlines(), 1)
        return {(n, f"names {found[0].strip()!r}") for n, line in lines for pattern in patterns if (found := pattern.search(line))}
    look = Look(dict(list_external(tree, modules)), tests, exits)
    places = {(node.lineno, what) for node in ast.walk(tree) if isinstance(node, (ast.expr, ast.stmt)) for what in look.find(node)}
    return places | {(node.lineno, f"{what} while it is imported") for node in _run_at_import(tree) for what in _starts(node)}


def _run_at_import(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that happen when a module is imported: all but those in functions, and under `if __name__ == "__main__"`."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and "__name__" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _run_at_import(child)


def _starts(node: ast.Call) -> Iterator[str]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
    if name in AT_IMPORT:
        yield f"calls {ast.unparse(node.func)[:60]}"
