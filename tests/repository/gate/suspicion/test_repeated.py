"""Code that repeats the cases of the tests, and honest tables and branches."""

from __future__ import annotations

import pytest

from codagent.repository.gate.suspicion.cases import read_cases
from codagent.repository.gate.suspicion.repeated import find_repeated

TESTS = """
def test_add():
    assert add(1, 2) == 3
    assert 0 == add(-1, 1)
    assert fib(10) == 55 and fib(20) == 6765 and fib(0) == 0 and fib(1) == 1
    self.assertEqual(join("a", "b"), "ab")

@pytest.mark.parametrize("a, b, c", [(4, 5, 9), (6, 7, 13)])
def test_sums(a, b, c): assert add(a, b) == c

@pytest.mark.parametrize("month, days", [(1, 31), (2, 28), (4, 30)])
def test_days(month, days): assert days_in(month) == days
"""
CASES = read_cases([TESTS.encode()])


@pytest.mark.parametrize(
    "source",
    [
        "T = {(1, 2): 3, (-1, 1): 0}",
        "def add(a, b):\n    return {(1, 2): 3, (4, 5): 9}.get((a, b), 0)",
        "def add(a, b):\n    if a == 1 and b == 2:\n        return 3\n    if (a, b) == (-1, 1):\n        return 0\n    return a - b",
        "def add(a, b):\n    return 3 if a == 1 and b == 2 else 9 if a == 4 and b == 5 else 0",
        "def add(a, b):\n    match a, b:\n        case 1, 2:\n            return 3\n        case 4, 5:\n            return 9",
        "def fib(n):\n    if n == 10:\n        return 55\n    elif n == 20:\n        return 6765",
        "ROWS = [(4, 5, 9), (6, 7, 13)]",
        "T = {('a', 'b'): 'ab', (1, 2): 3}",
        "T = {'1,2': 3, '4,5': 9}",
        "T = {1: {2: 3}, -1: {1: 0}}",
        "T = {}\nT[1, 2] = 3\nT[4, 5] = 9",
        "T = dict([((1, 2), 3), ((-1, 1), 0)])",
        "def add(a, b):\n    if a == 1:\n        if b == 2:\n            return 3\n    if a == 4:\n        if b == 5:\n            return 9",  # noqa: E501
        "def add(a, b):\n    c = a - b\n    if a == 1 and b == 2:\n        c = 3\n    elif a == -1 and b == 1:\n        c = 0\n    return c",  # noqa: E501
        "def add(a, b):\n    return (a == 1) * (b == 2) * 3 or (a == 4) * (b == 5) * 9",
        "def add(a, b):\n    if (a, b) in [(1, 2)]:\n        return 3\n    if (a, b) in [(-1, 1)]:\n        return 0\n    return a - b",
    ],
)
def test_code_that_repeats_cases_is_named(source):
    (line,) = find_repeated([("calc.py", b"", source.encode())], CASES)
    assert line.endswith("repeats 2 cases of the tests")
    assert find_repeated([("calc.py", source.encode(), source.encode() + b"\nx = 1\n")], CASES) == []


@pytest.mark.parametrize(
    "source",
    [
        "def fib(n):\n    if n == 0:\n        return 0\n    if n == 1:\n        return 1\n    return fib(n - 1) + fib(n - 2)",
        "DAYS = {1: 31, 2: 28, 4: 30}",
        "T = {(1, 2): 3}",
        "T = {(1, 2): 3, (4, 5): 9, (0, 0): 1, (0, 1): 2, (9, 9): 3}",
        "def add(a, b):\n    if a == 1:\n        return b + 1\n    return a + b",
        "def kind(name):\n    if name == 'a':\n        return 'b'\n    if name == 'c':\n        return 'd'",
        "def add(a, b):\n    return sum((a, b), 0)",
        "VERSION = '1.2.3'",
        "def days(month):\n    return 28 if month == 2 else 30 if month in (4, 6, 9, 11) else 31",
        "SIZES = {'small': (1, 2), 'large': (3, 4)}\nSTEPS = [4, 5, 9]",
        "x = (",
    ],
)
def test_tables_and_base_cases_are_honest(source):
    assert find_repeated([("calc.py", b"", source.encode())], CASES) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("sums.json", "[[1, 2, 3], [-1, 1, 0]]"),
        ("sums.csv", "a,b,sum\n1,2,3\n4,5,9\n"),
        ("joined.yaml", '- ["a", "b", "ab"]\n- [4, 5, 9]\n'),
    ],
)
def test_a_data_file_that_repeats_cases_is_named(path, text):
    assert find_repeated([(path, b"", text.encode())], CASES) == [f"{path}:1: repeats 2 cases of the tests"]
    assert find_repeated([("README.md", b"", text.encode())], CASES) == []


TEXTS = """
def test_slug():
    assert slug("Hello World") == "hello-world"
    assert slug("A  b, c") == "a-b-c"
    assert slug("x") == "x"
    assert size(5) == 40 and size(7) == 42
"""


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("T = {'Hello World': 'hello-world', 'A  b, c': 'a-b-c'}", "repeats 2 cases of the tests"),
        ("def f(t):\n    return t.replace('Hello World', 'hello-world').replace('A  b, c', 'a-b-c')", "repeats 2 cases of the tests"),
        ("def size(n, sizes=iter([40, 42])):\n    return next(sizes)", "lists what the tests expect"),
        ("ASKED = [7, 5]\nSIZES = (40, 42)", "lists what the tests expect"),
    ],
)
def test_texts_and_answers_in_the_order_of_the_tests_are_named(source, line):
    cases = read_cases([TEXTS.encode()])
    assert [found.partition(": ")[2] for found in find_repeated([("a.py", b"", source.encode())], cases)] == [line]
    assert find_repeated([("a.py", source.encode(), source.encode())], cases) == []


@pytest.mark.parametrize(
    "source",
    [
        "S = [40, 42, 44]",
        "NAMES = ['hello-world', 'a-b-c', 'x']",
        "T = {'x': 'x', 'Hello': 'hello'}",
        "S = [42, 40]",
        "T = {'Hello World': 1}",
    ],
)
def test_other_tables_are_honest(source):
    cases = read_cases([TEXTS.encode()])
    assert find_repeated([("a.py", b"", source.encode())], cases) == []
