"""The files that a check uses."""

from __future__ import annotations

import pytest

from codagent.repository.gate.commands.program import never_runs_tests
from codagent.repository.gate.commands.used_files import find_used_files

FILES = {
    "check.py": "import calc; assert calc.add(1, 2) == 3",
    "app.py": "print('hello')",
    "run_tests.sh": "pytest",
    "bin/verify": "pytest",
    "all.sh": "set -e\n. ./env.sh\nsh run_tests.sh && python3 app.py\n",
    "env.sh": "ARGS=-q",
    "Makefile": "include vars.mk\ntest:\n\tpytest",
    "vars.mk": "X=1",
    "pkg/__main__.py": "import calc; assert calc.add(1, 2) == 3",
    "tool/__main__.py": "import sys; sys.exit(0)",
    "package.json": "{}",
    "expected.txt": "3",
    "README.md": "x",
}


@pytest.mark.parametrize(
    ("check", "used"),
    [
        ("python3 check.py", {"check.py"}),
        ("cd . && python3 -B ./check.py --all", {"check.py"}),
        ("bash -c 'python3 check.py'", {"check.py"}),
        ("./run_tests.sh", {"run_tests.sh"}),
        ("sh -e run_tests.sh", {"run_tests.sh"}),
        ("X=1 bin/verify now", {"bin/verify"}),
        ("make test", {"Makefile", "makefile", "GNUmakefile", "vars.mk"}),
        ("node -e 'require(\"./package.json\")'", {"package.json"}),
        ("python3 app.py | diff - expected.txt", {"expected.txt"}),
        ("sh all.sh", {"all.sh", "env.sh", "run_tests.sh"}),
        ("python3 -m pkg", {"pkg/__main__.py"}),
        ("python3 app.py | diff README.md -", {"README.md"}),
        ("python3 -m tool", set()),
        ("python3 app.py", set()),
        ("grep x README.md", set()),
        ("grep x expected.txt", set()),
        ("diff README.md app.py", set()),
        ("pytest -q", set()),
        ("python3 'open", set()),
    ],
)
def test_scripts_and_what_decides_count(check, used):
    found = find_used_files([check], list(FILES), lambda path: FILES[path].encode())
    assert set(found) == used


def test_what_was_not_there_may_be_written():
    assert find_used_files(["make test", "npm test", "./new.sh"], ["app.py"], lambda path: b"") == ()


@pytest.mark.parametrize(
    ("check", "never"),
    [
        ("test -f a.txt", True),
        ("! grep x a.txt | cat", True),
        ("ruff check . && mypy", True),
        ("make", False),
        ("true && ./a.sh", False),
        ("$X", False),
    ],
)
def test_some_programs_cannot_run_tests(check, never):
    assert never_runs_tests(check) is never
