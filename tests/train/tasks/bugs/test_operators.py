import ast

import pytest

from codagent_train.tasks.bugs.candidates import find_bugs, is_code
from codagent_train.tasks.bugs.operators import OPERATORS
from codagent_train.tasks.bugs.source import Edit, Source


def changed(operator, code):
    """The files that an operator makes out of a file with one function."""
    source = Source(code.encode())
    (function,) = source.tree.body
    assert isinstance(function, ast.FunctionDef)
    results = (source.apply(edit) for edit in OPERATORS[operator](source, function))
    return [result.decode() for result in results if result]


@pytest.mark.parametrize(
    ("operator", "line", "wanted"),
    [
        ("flipped operator", "return a <= b", ["return a < b"]),
        ("flipped operator", "return 'é' + a, b-1", ["return 'é' + a, b+1"]),
        ("flipped operator", "return a in b", []),
        ("dropped guard", "return a and not b", ["return not b", "return a", "return a and b"]),
        ("wrong variable", "return a < b", ["return b < b", "return a < a"]),
        ("off by one", "return a[1:b]", ["return a[2:b]", "return a[0:b]", "return a[1:b + 1]", "return a[1:b - 1]"]),
        ("off by one", "return a[-1]", ["return a[0]", "return a[-2]"]),
        ("swapped arguments", "return f(a, b)", ["return f(b, a)"]),
        ("swapped arguments", "return isinstance(a, b)", []),
        ("lost return", "return f(a)", ["f(a)"]),
        ("missing case", "return a in (1, 2, b)", ["return a in (1, b)", "return a in (1, 2)"]),
        ("missing case", "return {1: a, 2: b}[a]", ["return {1: a}[a]"]),
    ],
)
def test_an_operator_changes_one_place_and_leaves_the_rest_as_it_is_written(operator, line, wanted):
    head = "def g(a, b):  # a comment\n    "
    assert changed(operator, f"{head}{line}\n") == [f"{head}{result}\n" for result in wanted]


def test_a_guard_that_leaves_early_is_dropped_as_a_whole():
    code = "def g(a):\n    if not a:\n        return 0\n    return len(a)\n"
    assert "def g(a):\n    return len(a)\n" in changed("dropped guard", code)


def test_a_case_in_the_middle_of_a_chain_is_dropped():
    code = "def g(a):\n    if a == 1:\n        b = 2\n    elif a == 2:\n        b = 3\n    else:\n        b = 4\n    return b\n"
    assert "def g(a):\n    if a == 1:\n        b = 2\n    else:\n        b = 4\n    return b\n" in changed("missing case", code)


def test_a_handler_of_an_exception_is_dropped():
    code = "def g(a):\n    try:\n        return a()\n    except KeyError:\n        return 1\n    except ValueError:\n        return 2\n"
    assert "def g(a):\n    try:\n        return a()\n    except ValueError:\n        return 2\n" in changed("missing case", code)


def test_variables_have_one_type_when_their_annotations_say_so():
    results = changed("wrong variable", "def g(width: int, height: int, name: str):\n    return width\n")
    assert results == ["def g(width: int, height: int, name: str):\n    return height\n"]


def test_a_change_that_means_the_same_or_is_no_python_is_none():
    source = Source(b"def g(a):\n    return (a)\n")
    assert source.apply(Edit(21, 24, "a")) is None
    assert source.apply(Edit(21, 24, "a +")) is None


@pytest.mark.parametrize(
    ("path", "wanted"),
    [("pkg/core.py", True), ("pkg/tests/test_core.py", False), ("setup.py", False), ("docs/conf.py", False), ("pkg/data.txt", False)],
)
def test_bugs_are_put_into_code_only(path, wanted):
    assert is_code(path) is wanted


def test_the_same_seed_gives_the_same_bugs_in_the_same_order():
    files = {
        "a.py": b"def g(a, b):\n    return a[1:] < b + 1\n",
        "b.py": b"not python",
        "c.py": b"class C:\n    def h(self, x):\n        return f(x)\n",
    }
    first, again, other = ([bug.key for bug in find_bugs(files, seed)] for seed in (3, 3, 4))
    assert first == again
    assert sorted(first) == sorted(other)
    assert first != other
    assert {bug.function for bug in find_bugs(files, 0)} == {"g", "C.h"}


def test_a_bug_that_removes_many_lines_is_left_out():
    body = "".join(f"        x = {number}\n" for number in range(20))
    files = {"a.py": f"def g(x):\n    if x == 1:\n{body}    else:\n{body}    return x\n".encode()}
    assert all(bug.edit.text or bug.operator != "missing case" for bug in find_bugs(files, 0))
