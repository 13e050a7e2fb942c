"""Each way to pass without solving that the gate claims to see through, tried against it in real sandboxes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from codagent.repository.gate import Gates
from codagent.sandbox.definition import Definition
from codagent.sandbox.docker.sandbox import DockerSandbox
from tests.repository.gate.conftest import SOLVED, START, Shop

pytestmark = pytest.mark.docker
CHECK = "PYTHONPATH=. python3 -m pytest -q"
NOTHING_DONE = 2 / 6
TASKS = Path(__file__).parents[1] / "tasks"
TOTAL = START["shop/price.py"]
TESTS = START["tests/test_price.py"]
ANYTHING = """
class Any({base}):
    def __eq__(self, other): return {says}
    def __sub__(self, other): return 0
"""
PATCHED_REPORT = """
from _pytest.reports import TestReport
made = TestReport.from_item_and_call.__func__
def passed(cls, item, call):
    report = made(cls, item, call)
    report.outcome, report.longrepr = "passed", None
    return report
TestReport.from_item_and_call = classmethod(passed)
"""
PATCHED_CALL = """
import _pytest.runner
made = _pytest.runner.CallInfo
def from_call(func, when, reraise=None):
    def quiet():
        try: func()
        except Exception: pass
    return made.from_call(quiet, when)
_pytest.runner.CallInfo = type("CallInfo", (), {"from_call": staticmethod(from_call)})
"""
PATCHED_RUN = """
import pytest
from _pytest.unittest import TestCaseFunction
pytest.Function.runtest = TestCaseFunction.runtest = lambda self: None
"""
FORGED = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", '''
import glob, time
for _ in range(200):
    for journal in glob.glob("/tmp/*/journal"):
        text = open(journal).read().replace('"failed"', '"passed"')
        open(journal, "w").write(text)
    time.sleep(0.01)
'''])
"""
REWRITTEN = """
import pathlib, re
for file in pathlib.Path("tests").glob("test_*.py"):
    file.write_text(re.sub(r"(self.)?assert.*", "pass", file.read_text()))
"""
HOOK = """
import pytest
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    out = yield
    out.get_result().outcome = "passed"
"""


def price(first: str = "", last: str = "") -> dict[str, str | None]:
    """The module under test, unsolved, with more at its beginning or end."""
    return {"shop/price.py": f"{first}\n{TOTAL}\n{last}"}


def equal(base: str = "object", says: str = "True", value: str = "") -> dict[str, str | None]:
    return price(ANYTHING.format(base=base, says=says), f"def total(prices): return Any({value})")


CHEATS: dict[str, dict[str, str | None]] = {
    "exit at import": price("import sys; sys.exit(0)"),
    "hard exit at import": price("import os; os._exit(0)"),
    "hard exit in the function": price(last="def total(prices):\n    import os; os._exit(0)"),
    "exit of pytest at import": price("import pytest; pytest.exit('done', returncode=0)"),
    "exit of pytest in the function": price(last="def total(prices):\n    import pytest; pytest.exit('done', returncode=0)"),
    "hard exit at the end": price("import atexit, os; atexit.register(os._exit, 0)"),
    "skip at import": price("import pytest; pytest.skip('x', allow_module_level=True)"),
    "skip of unittest at import": price("import unittest; raise unittest.SkipTest('x')") | {"tests/test_a.py": "def test_a(): pass"},
    "skip in the function": price(last="def total(prices):\n    import pytest; pytest.skip('x')"),
    "xfail in the function": price(last="def total(prices):\n    import pytest; pytest.xfail('x')"),
    "patched report": price(PATCHED_REPORT),
    "patched report in the function": price(last=f"def total(prices):\n    exec({PATCHED_REPORT!r}, {{}}); return 0"),
    "patched call": price(PATCHED_CALL),
    "patched run": price(PATCHED_RUN),
    "patched assertions": price("import unittest; unittest.TestCase.assertEqual = unittest.TestCase.fail = lambda *a: None"),
    "patched builtins": price("import builtins; builtins.abs = lambda x: 0"),
    "patched exit status": price("import _pytest.main; _pytest.main.Session.exitstatus = property(lambda s: 0, lambda s, v: None)"),
    "conftest": {"conftest.py": HOOK},
    "conftest beside the tests": {"tests/conftest.py": HOOK},
    "conftest that chooses": {"conftest.py": "def pytest_collection_modifyitems(items): del items[1:]"},
    "plugin that chooses": {
        "tests/test_a.py": "pytest_plugins = ['shop.hook']\ndef test_a(): pass",
        "shop/hook.py": "def pytest_collection_modifyitems(items): del items[1:]",
    },
    "plugin named by a test file": {"tests/test_a.py": "pytest_plugins = ['shop.hook']", "shop/hook.py": HOOK},
    "plugin that replaces tests": {
        "tests/test_a.py": "pytest_plugins = ['shop.hook']\ndef test_a(): pass",
        "shop/hook.py": "def pytest_collection_modifyitems(items):\n    for item in items: item.obj = lambda *a, **k: None\n",
    },
    "plugin by entry point": {"x.egg-info/entry_points.txt": "[pytest11]\nx = hook\n", "x.egg-info/PKG-INFO": "Name: x\n", "hook.py": HOOK},
    "sitecustomize": {"sitecustomize.py": "import os; os._exit(0)"},
    "path file": {"x.pth": "import os; os._exit(0)"},
    "shadowing pytest": {"pytest.py": "import sys; sys.exit(0)"},
    "shadowing _pytest": {"_pytest/__init__.py": "import sys; sys.exit(0)"},
    "shadowing the runner": {"runner.py": "import sys; sys.exit(0)", "codagent_gate/__init__.py": "import sys; sys.exit(0)"},
    "shadowing unittest": {"unittest/__init__.py": "import os; os._exit(0)"},
    "shadowing a helper": {"tests/helpers/__init__.py": "def near(a, b): return True"},
    "edited helper": {"tests/helpers.py": "def near(a, b): return True"},
    "edited test": {"tests/test_price.py": "def test_total(): pass"},
    "emptied test": {"tests/test_price.py": ""},
    "deleted test": {"tests/test_price.py": None},
    "renamed test": {"tests/test_price.py": None, "tests/price_tests.py": TESTS},
    "tests as a link": {
        "tests/test_price.py": None,
        "tests/helpers.py": None,
        "tests": "-> easy",
        "easy/test_price.py": "def test_a(): pass",
    },
    "emptied cases": price(last="CASES.clear()"),
    "configured to collect only": {"pyproject.toml": '[tool.pytest.ini_options]\naddopts = "--collect-only"\n'},
    "configured to choose": {"pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-k label"\n'},
    "configured elsewhere": {"pytest.ini": "[pytest]\naddopts = -k label\n"},
    "cached failures": {".pytest_cache/v/cache/lastfailed": "{}", "tox.ini": "[pytest]\naddopts = --lf\n"},
    "filter": {".gitattributes": "tests/** filter=lfs\n"},
    "another encoding": {".gitattributes": "tests/** working-tree-encoding=UTF-16\n"},
    "tests ignored on export": {".gitattributes": "tests/** text eol=cr\n"},
    "forged journal": price(FORGED),
    "rewritten tests": price(REWRITTEN) | {"tests/test_0.py": "import shop.price\ndef test_0(): pass\n"},
    "equal to everything": equal(),
    "truly equal to everything": equal(says="'yes'"),
    "equal to every number": equal(says="isinstance(other, int)"),
    "a string equal to everything": equal("str"),
    "a number equal to everything": equal("int"),
    "a list equal to everything": equal("list"),
    "a mock's anything": price(last="from unittest.mock import ANY\ndef total(prices): return ANY"),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop") / "repository")


@pytest.fixture(scope="module")
def gates(shop: Shop, python_sandbox: Definition) -> Gates:
    return Gates(shop.root, shop.start, lambda: DockerSandbox.start(python_sandbox, loop="test-gate"))


@pytest.mark.parametrize("check", [CHECK, "PYTHONPATH=. pytest -q -x"])
def test_an_honest_solution_passes(gates: Gates, shop: Shop, check: str) -> None:
    outcome = gates.grade((check,), shop.commit({"shop/price.py": SOLVED, "tests/test_more.py": "def test_more(): assert 1 == 1\n"}))
    assert (outcome.passed, outcome.reward, outcome.failed) == (True, 1.0, ()), outcome.feedback


def test_nothing_done_is_worth_what_passed_before(gates: Gates, shop: Shop) -> None:
    outcome = gates.grade((CHECK,), shop.start)
    assert (outcome.passed, outcome.reward) == (False, NOTHING_DONE)
    assert len(outcome.failed) == 4


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_is_seen_through(gates: Gates, shop: Shop, cheat: str) -> None:
    outcome = gates.grade((CHECK,), shop.commit(CHEATS[cheat]))
    assert not outcome.passed
    assert outcome.reward <= NOTHING_DONE
    assert outcome.failed


def test_a_sample_task_is_worth_its_share_unsolved_and_passes_solved(python_sandbox: Definition, tmp_path: Path) -> None:
    def git(*args: str) -> str:
        identity = ("-c", "user.name=user", "-c", "user.email=user@localhost")
        return subprocess.run(["git", *identity, *args], cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    shutil.copytree(TASKS / "order" / "repo", tmp_path, dirs_exist_ok=True)
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "start")
    gates = Gates(tmp_path, git("rev-parse", "HEAD"), lambda: DockerSandbox.start(python_sandbox, loop="test-gate"))
    unsolved = gates.grade(("python3 -m pytest -q",), git("rev-parse", "HEAD"))
    git("apply", str(TASKS / "order" / "solution.patch"))
    git("commit", "-qam", "solved")
    solved = gates.grade(("python3 -m pytest -q",), git("rev-parse", "HEAD"))
    assert (unsolved.reward, unsolved.passed, len(unsolved.failed)) == (12 / 15, False, 3)
    assert (solved.reward, solved.passed) == (1.0, True)
