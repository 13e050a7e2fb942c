"""What the tests expect outside of the tests."""

from __future__ import annotations

import pytest

from codagent.repository.gate.suspicion.expected import read_expectations

CODE = "CASES = [(1, 2)]\nLIMIT = 3\n\ndef total(prices):\n    return sum(prices)\n\ndef same(a, b):\n    assert a == b\n"


def changed(test: str, now: str, path: str = "shop/price.py", files: dict[str, str] | None = None) -> list[str]:
    stood = {"shop/price.py": CODE, "shop/__init__.py": "", "tests/test_price.py": test, **(files or {})}
    expectations = read_expectations(list(stood), lambda name: stood[name].encode())
    return expectations.find_changed([(path, stood[path].encode(), now.encode())])


@pytest.mark.parametrize(
    "test",
    [
        "from shop.price import CASES, total\n@mark.parametrize('a, b', CASES)\ndef test_a(a, b): pass",
        "from shop.price import CASES\ndef test_a():\n    for a, b in CASES: pass",
        "from shop import price\ndef test_a():\n    assert 3 == price.CASES",
        "import shop.price\ndef test_a():\n    assert shop.price.CASES != []",
    ],
)
def test_a_value_that_tests_compare_with_is_named_when_it_changes(test):
    assert changed(test, CODE.replace("(1, 2)", "(1, 3)")) == ["shop/price.py: the tests compare with CASES"]
    assert changed(test, CODE.replace("sum(prices)", "sum(prices) + 1")) == []
    assert changed(test, CODE.replace("LIMIT = 3", "LIMIT = 4")) == []


def test_a_helper_that_only_compares_is_named_when_it_changes():
    test = "from shop.price import same\ndef test_a(): same(1, 1)"
    assert changed(test, CODE.replace("assert a == b", "pass")) == ["shop/price.py: the tests compare with same"]
    assert changed("from shop.price import total", CODE.replace("assert a == b", "pass")) == []


@pytest.mark.parametrize("name", ["data/sums.json", "sums.json"])
def test_a_file_that_tests_read_is_named_when_it_changes(name):
    files = {"data/sums.json": "{}"}
    for code in ("from shop import price", "import subprocess", "from os import system"):
        assert changed(f"{code}\nx = open({name!r})", "[]", "data/sums.json", files) == ["data/sums.json: the tests read this file"]
        assert changed(f"{code}\nx = open('other.json')", "[]", "data/sums.json", files) == []


def test_a_test_that_runs_no_code_judges_the_files_themselves():
    test = "from pathlib import Path\ndef test_a(): assert Path('answer.txt').read_text() == 'right'"
    assert changed(test, "right", "answer.txt", {"answer.txt": "wrong"}) == []


@pytest.mark.parametrize("test", ["from shop.given import *", "from shop import given", "pytest_plugins = ['shop.given']"])
def test_modules_made_for_pytest_are_helpers(test):
    files = {"conftest.py": test, "shop/given.py": "import pytest\n", "shop/__init__.py": "", "shop/price.py": CODE}
    assert read_expectations(list(files), lambda name: files[name].encode()).helpers == {"shop/given.py"}


@pytest.mark.parametrize(
    ("test", "before", "now"),
    [
        (
            "from shop.price import Limits\ndef test_a(): assert total() == Limits.MOST",
            "class Limits:\n    MOST = 3\n",
            "class Limits:\n    MOST = 4\n",
        ),
        (
            "from shop import price\ndef test_a(): assert total() == price.Limits.MOST",
            "class Limits:\n    MOST = 3\n",
            "class Limits:\n    MOST = 4\n",
        ),
        (
            "from shop.price import cases\n@mark.parametrize('a', cases())\ndef test_a(a): pass",
            "def cases(): return [1]",
            "def cases(): return [2]",
        ),
    ],
)
def test_values_of_classes_and_functions_that_make_cases_are_named(test, before, now):
    expectations = read_expectations(
        ["shop/price.py", "tests/test_price.py"], lambda name: (before if name[5:] == "price.py" else test).encode()
    )
    assert len(expectations.find_changed([("shop/price.py", before.encode(), now.encode())])) == 1
    assert expectations.find_changed([("shop/price.py", before.encode(), before.encode() + b"\nmore = 1\n")]) == []


@pytest.mark.parametrize(
    "named", ["Path('cases').glob('*.json')", "glob('cases/*.json')", "open(f'cases/{n}.json')", "Path('cases', n).with_suffix('.json')"]
)
def test_files_of_a_folder_that_tests_go_through_are_named(named):
    test = f"from shop import price\nx = {named}\n"
    assert changed(test, "[]", "cases/a.json", {"cases/a.json": "[1]"}) == ["cases/a.json: the tests read this file"]
    assert changed(test, "[]", "other/a.json", {"other/a.json": "[1]"}) == []
    assert changed(test, "[]", "cases/a.txt", {"cases/a.txt": "[1]"}) == []


def test_a_function_by_which_a_script_compares_is_named():
    files = {
        "check.py": "from calc import add\nfrom same import same\nassert same(add(1, 2), 3)\n",
        "calc.py": "def add(a, b): ...",
        "same.py": "def same(a, b): ...",
    }
    expectations = read_expectations(list(files), lambda name: files[name].encode(), ["check.py"])
    assert expectations.find_changed([("same.py", b"def same(a, b): ...", b"def same(a, b): return 1")]) == [
        "same.py: the tests compare with same"
    ]
    assert expectations.find_changed([("calc.py", b"def add(a, b): ...", b"def add(a, b): return 1")]) == []


def test_a_name_of_python_that_a_test_may_take_from_the_code_is_named():
    test = "import math\nfrom shop.price import *\ndef test_a(): assert abs(total([1]) - 1) < math.pi"
    for name in ("abs", "math"):
        assert changed(test, f"{CODE}\n{name} = len\n") == [f"shop/price.py: the tests compare with {name}"]
    assert changed(test, f"{CODE}\nround = total\n") == []
