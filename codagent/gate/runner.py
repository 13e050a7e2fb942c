"""Runs pytest as it was asked for and keeps a signed journal of what happened. Stands alone: Python 3.9, pytest 7 and nothing else.

The host writes it beside a plan, outside of the workspace; both are gone before anything of the workspace is imported.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import hmac
import importlib.util
import itertools
import json
import operator
import os
import re
import secrets
import sys
import unittest
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.assertion import rewrite
from _pytest.runner import runtestprotocol

_COMPARE = "@gate_compare"  # no name that a program can write
_MOST, _PLACES = 1000, 5  # things in a container that are looked at; tests that have canaries before them
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_CONTAINERS = (list, tuple, set, frozenset, dict)
# What a comparison asks of its left and of its right side.
_ASKED: dict[str, tuple[Callable[[Any, Any], Any], ...]] = {"Eq": (operator.eq, operator.eq), "In": (operator.eq, operator.contains)}


def main() -> int:
    here = Path(__file__).parent
    workspace = os.getcwd()  # noqa: PTH109 - compared as text
    sys.path[:] = [path for path in sys.path if path != str(here)]
    if str(pytest.__file__).startswith(workspace + os.sep):
        sys.exit("pytest was found in the workspace, where anyone may have put it")
    plan = json.loads((here / "plan.json").read_text())
    for file in ("plan.json", Path(__file__).name):
        (here / file).unlink()
    journal = _journal(here / "journal", bytes.fromhex(plan["key"]))
    watch = Watch(journal, workspace, re.compile(plan["tests"], re.IGNORECASE))
    watch.install()
    parallel = importlib.util.find_spec("xdist") and not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    arguments = [*sys.argv[1:], "--assert=rewrite", *(["-n0"] if parallel else [])]
    if plan["module"]:
        sys.path.insert(0, workspace)  # as `python -m` does
    code = int(pytest.main(arguments, plugins=[Gate(journal, watch)]))
    journal("finished", code=code)
    return code


def _journal(path: Path, key: bytes) -> Callable[..., None]:
    """Each line is signed together with those before it: who lacks the key can forge, change or leave out none."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    last = b""

    def write(kind: str, **facts: Any) -> None:
        nonlocal last
        text = json.dumps({"kind": kind, **facts}).encode()
        last = hmac.new(key, last + text, hashlib.sha256).hexdigest().encode()
        os.write(descriptor, last + b" " + text + b"\n")

    return write


class Watch:
    """Looks for what no honest program does: agree with anything, write tests while they run, load plugins into pytest."""

    def __init__(self, journal: Callable[..., None], workspace: str, tests: re.Pattern[str]) -> None:
        self._journal, self._workspace, self._tests = journal, workspace, tests
        self._sources = dict(_sources(workspace))
        self._said: set[tuple[str, str]] = set()
        self.test, self.file = "", ""  # what runs, and where it stands

    def install(self) -> None:
        rewrite_asserts, asserter = rewrite.rewrite_asserts, unittest.TestCase._getAssertEqualityFunc

        def rewritten(mod: ast.Module, source: bytes, module_path: str | None = None, config: Any = None) -> None:
            rewrite_asserts(mod, source, module_path, config)
            if name := self._inside(module_path):
                if self._sources.get(name) != hashlib.sha256(source).digest():
                    self.odd(name, "was written while the tests ran")
                _Compared().visit(mod)

        def equality(case: unittest.TestCase, first: Any, second: Any) -> Any:
            self.compare(True, first, "Eq", second)
            return asserter(case, first, second)

        rewrite.rewrite_asserts = rewritten
        rewrite._read_pyc = lambda *_, **__: None  # what is compiled already was not looked at
        unittest.TestCase._getAssertEqualityFunc = equality  # type: ignore[method-assign, assignment]
        setattr(builtins, _COMPARE, self.compare)

    def odd(self, name: str, why: str) -> None:
        if (name, why) not in self._said:
            self._said.add((name, why))
            self._journal("odd", id=name, why=why)

    def compare(self, result: Any, left: Any, name: str, right: Any) -> Any:
        """Gives `result`, after a look at both sides if they were found to agree."""
        if _true(lambda: result):
            ask_left, ask_right = _ASKED[name]
            for kind in (_agreeable(left, ask_left), _agreeable(right, ask_right)):
                if kind is not None and not self._brought_by_tests(kind):
                    self.odd(self.test, f"an object of class {kind.__name__} agrees with anything that it is compared with")
        return result

    def plugin(self, plugin: object) -> None:
        name = self._inside(getattr(plugin, "__file__", None) or _file_of(type(plugin)))
        if name and Path(name).name != "conftest.py":
            self.odd(name, "is a plugin of pytest")

    def _inside(self, path: object) -> str | None:
        """The path from the workspace on, of what lies in it."""
        text = str(path)
        return text[len(self._workspace) + 1 :] if text.startswith(self._workspace + os.sep) else None

    def _brought_by_tests(self, kind: type) -> bool:
        """Whether a class is of the tests, or of a library and the test names it, as with ANY of unittest.mock."""
        code = getattr(getattr(kind, "__eq__", None), "__code__", None)
        ours = [name for path in (_file_of(kind), getattr(code, "co_filename", "")) if (name := self._inside(path))]
        if ours:
            return all(self._tests.search(name.replace(os.sep, "/")) for name in ours)
        word = re.compile(rf"\b{re.escape(kind.__name__.strip('_'))}\b")
        return Path(self.file).is_file() and word.search(Path(self.file).read_text(errors="replace")) is not None


class Gate:
    """The plugin. Tests are run as pytest itself runs them; in the same way, but unreported, run canaries."""

    def __init__(self, journal: Callable[..., None], watch: Watch) -> None:
        self._journal, self._watch = journal, watch
        self._places: set[str] = set()

    def pytest_configure(self, config: Any) -> None:
        config.option.maxfail = 0

    def pytest_plugin_registered(self, plugin: object) -> None:
        self._watch.plugin(plugin)

    def pytest_collectreport(self, report: Any) -> None:
        if report.outcome != "passed":
            self._journal("uncollected", id=report.nodeid, outcome=report.outcome)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: Any) -> None:
        fit = [item.nodeid for item in session.items if item.getparent(pytest.Module)]
        self._places = {*fit[:1], *fit[-1:], *secrets.SystemRandom().sample(fit, min(_PLACES, len(fit)))}
        self._journal("collected", ids=[item.nodeid for item in session.items], canaries=bool(fit))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> bool:
        if item.nodeid in self._places:
            self._sing(_canaries(item), item)
        last = _canaries(item) if nextitem is None else []
        self._run(item, last[0][1] if last else nextitem)
        self._sing(last, None)
        return True

    def _run(self, item: Any, nextitem: Any) -> None:
        self._watch.test, self._watch.file = item.nodeid, str(item.fspath)
        self._journal("running", id=item.nodeid)
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in runtestprotocol(item, log=False, nextitem=nextitem):
            self._journal("report", id=item.nodeid, when=report.when, outcome=report.outcome, xfail=hasattr(report, "wasxfail"))
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def _sing(self, canaries: list[tuple[str, Any]], then: Any) -> None:
        following = [canary for _, canary in canaries[1:]] + [then]
        for (want, canary), nextitem in zip(canaries, following):  # noqa: B905 - Python 3.9
            said = {report.when: report.outcome for report in runtestprotocol(canary, log=False, nextitem=nextitem)}
            self._journal("canary", want=want, setup=said.get("setup"), call=said.get("call"))


def _canaries(near: Any) -> list[tuple[str, Any]]:
    """Tests that must fail and pass, in the module of a test and named like it."""
    module = near.getparent(pytest.Module)
    return [(want, _canary(module, near.name, want)) for want in ("failed", "passed")] if module else []


def _canary(module: Any, like: str, want: str) -> Any:
    def test() -> None:
        if want == "failed":
            raise AssertionError(f"assert {secrets.randbelow(100)} == {100 + secrets.randbelow(100)}")

    words = re.findall(r"[a-z]{3,}", like) or ["case"]
    return pytest.Function.from_parent(module, name=f"test_{secrets.choice(words)}_{secrets.token_hex(2)}", callobj=test)


class _Compared(ast.NodeTransformer):
    """Passes each comparison that pytest took out of an assertion through `Watch.compare`; its sides are plain names by then."""

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Name) and target.id.startswith("@py_assert") and isinstance(value, ast.Compare):
            left, name, right = value.left, type(value.ops[0]).__name__, value.comparators[0]
            if name in _ASKED and isinstance(left, (ast.Name, ast.Constant)) and isinstance(right, (ast.Name, ast.Constant)):
                node.value = ast.Call(ast.Name(_COMPARE, ast.Load()), [value, left, ast.Constant(name), right], [])
                for made in ast.walk(node.value):
                    ast.copy_location(made, value)
        return node


def _agreeable(side: Any, ask: Callable[[Any, Any], Any], depth: int = 0) -> type | None:
    """The class of `side`, or of what is in it, that says yes to what it cannot know."""
    kind = type(side)
    if kind in _PLAIN or depth > 3:
        return None
    if kind not in _CONTAINERS:
        strange: list[Any] = [object()]
        if ask is operator.eq:
            strange += [secrets.token_hex(8), secrets.randbits(96), [object()], (object(),), {secrets.token_hex(8): object()}]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if any(_true(lambda one=one: ask(side, one)) for one in strange):  # type: ignore[misc]
                return kind
    held: Any = side.values() if isinstance(side, dict) else side if isinstance(side, _CONTAINERS) else ()
    return next((found for one in itertools.islice(held, _MOST) if (found := _agreeable(one, operator.eq, depth + 1))), None)


def _true(ask: Callable[[], Any]) -> bool:
    """Whether an answer is yes; some are neither, like an array."""
    try:
        return bool(ask())
    except Exception:  # noqa: BLE001 - anything may go wrong in a comparison
        return False


def _sources(workspace: str) -> Iterator[tuple[str, bytes]]:
    for folder, folders, files in os.walk(workspace):
        folders[:] = [name for name in folders if name not in (".git", "node_modules")]
        for file in (Path(folder, name) for name in files if name.endswith(".py")):
            if file.is_file():
                yield str(file)[len(workspace) + 1 :], hashlib.sha256(file.read_bytes()).digest()


def _file_of(kind: type) -> str:
    return str(getattr(sys.modules.get(kind.__module__), "__file__", None) or "")


if __name__ == "__main__":
    sys.exit(main())
