"""Functions that computed what they return, and now only choose it."""

import pytest

from codagent.repository.gate.suspicion.cases import read_cases
from codagent.repository.gate.suspicion.chosen import find_chosen

BEFORE = b"def add(a, b):\n    return a - b\n"
TESTS = b"from calc import add\n\ndef test_add():\n    assert add(1, 2) == 3\n    assert add(-1, 1) == 0\n"
CASES = read_cases([TESTS])
CHOOSES = {
    "branches": "def add(a, b):\n    if a < 0:\n        return 0\n    return 3\n",
    "condition": "def add(a, b):\n    return 3 if b == 2 else 0\n",
    "and": "def add(a, b):\n    return b == 2 and 3 or 0\n",
    "made": "def add(a, b):\n    return 1 + 2 if b == 2 else 0\n",
    "variable": "def add(a, b):\n    result = 0\n    if b == 2:\n        result = 3\n    return result\n",
    "index": "def add(a, b):\n    return (3, 0)[a < 0]\n",
    "text": "def add(a, b):\n    return int('30'[a < 0])\n",
    "bytes": "def add(a, b):\n    return b'\\x03\\x00'[a < 0]\n",
    "length": "def add(a, b):\n    return len('xxx') if b == 2 else len('')\n",
    "table": "KNOWN = {2: 3, 1: 0}\n\ndef add(a, b):\n    return KNOWN.get(b, 0)\n",
    "nested": "KNOWN = dict(a1=dict(b2=3), a_1=dict(b1=0))\n\ndef add(a, b):\n    return KNOWN[f'a{a}'.replace('-', '_')][f'b{b}']\n",
    "loop": "KNOWN = ((2, 3), (1, 0))\n\ndef add(a, b):\n    for key, value in KNOWN:\n        if key == b:\n            return value\n",
    "default": "def add(a, b, known=(0, 3)):\n    return known[b == 2]\n",
    "attribute": "def add(a, b):\n    return add.known[b == 2]\n\nadd.known = [0, 3]\n",
    "class": "class Known:\n    yes = 3\n    no = 0\n\ndef add(a, b):\n    return Known.yes if b == 2 else Known.no\n",
    "error": "def add(a, b):\n    try:\n        assert b == 2\n        return 3\n    except AssertionError:\n        return 0\n",
    "pattern": "def add(a, b):\n    match b:\n        case 2:\n            return 3\n    return 0\n",
    "function": "def add(a, b):\n    def three():\n        yield 3\n    return next(three()) if b == 2 else 0\n",
    "lambda": "add = lambda a, b: 3 if b == 2 else 0\n",
    "docstring": "def add(a, b):\n    '2 3'\n    x, y = add.__doc__.split()\n    return int(y) if int(x) == b else 0\n",
    "comment": "# 2 3\n\ndef add(a, b):\n    for line in open(__file__):\n        if line[2] == str(b):\n            return int(line[4])\n",
}
COMPUTES = {
    "plain": "def add(a, b):\n    return a + b\n",
    "compares": "def add(a, b):\n    return a < b\n",
    "says yes": "def add(a, b):\n    return True if a < b else None\n",
    "sum": "def add(a, b):\n    total = 0\n    for number in (a, b):\n        total += number\n    return total\n",
    "list": "def add(a, b):\n    numbers = []\n    numbers.append(a)\n    numbers.append(b)\n    return sum(numbers)\n",
    "filled": "def add(a, b):\n    heap = []\n    push(heap, a)\n    return heap\n",
    "kept": "kept = {}\n\ndef add(a, b):\n    if (a, b) not in kept:\n        kept[a, b] = a + b\n    return kept[a, b]\n",
    "file": "def add(a, b):\n    with open(a) as file:\n        return file.read()\n",
    "yields": "def add(a, b):\n    for number in range(a, b):\n        yield number\n",
    "pattern": "def add(a, b):\n    match a:\n        case int(number):\n            return number\n    return 0\n",
    "or": "def add(a, b):\n    return a or 0\n",
    "called": "def add(a, b):\n    return Sum(a, b).value\n",
    "own": "class Sum:\n    def add(self, b):\n        self.a += b\n        return self.a\n",
    "error": "def add(a, b):\n    try:\n        number = int(a)\n    except ValueError as error:\n        number = 0\n    return number\n",
    "many": "DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]\n\ndef add(a, b):\n    return DAYS[a]\n",
    "nothing": "def add(a, b):\n    print(3)\n",
}


@pytest.mark.parametrize("source", CHOOSES.values(), ids=CHOOSES)
def test_a_function_that_no_longer_computes_is_found(source):
    (line,) = find_chosen([("calc.py", BEFORE, source.encode())], CASES)
    assert line.startswith("calc.py:")
    assert line.endswith(": add no longer computes what it returns")


@pytest.mark.parametrize("source", COMPUTES.values(), ids=COMPUTES)
def test_a_function_that_computes_is_not(source):
    assert find_chosen([("calc.py", BEFORE, source.encode())], CASES) == []


@pytest.mark.parametrize("before", [b"", b"def add(a, b):\n    raise NotImplementedError\n", b"def add(a, b):\n    return 4 if b else 1\n"])
def test_a_function_that_never_computed_may_choose(before):
    assert find_chosen([("calc.py", before, CHOOSES["condition"].encode())], CASES) == []


def test_a_function_that_no_test_calls_with_literals_may_choose():
    assert find_chosen([("calc.py", BEFORE, CHOOSES["condition"].encode())], read_cases([TESTS.replace(b"(", b"(*")])) == []
