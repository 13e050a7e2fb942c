"""A twin fails when the code is honest, and passes when something agrees with anything or no assertion has an effect."""

from __future__ import annotations

import ast
from contextlib import nullcontext
from dataclasses import field, make_dataclass
from typing import Any

import pytest

from codagent.repository.gate.twins import invert_command
from codagent.repository.gate.twins.writer import Ending, end_script, write_ending, write_script, write_twins
from tests.repository.gate.twins.conftest import HONEST, KNOWN

ASSERTIONS = [
    "assert add(1, 2) == 3",
    "assert 3 == add(1, 2)",
    "want = 3\nassert want == add(1, 2)",
    "result = add(1, 2)\nwant = 3\nassert want == result",
    "assert not add(1, 2) != 3",
    "assert add(1, 2) == 3 and add(2, 2) == 4",
    "assert add(1, 2) == 3 or add(2, 2) == 5",
    "assert add(1.5, 1) == pytest.approx(2.5)",
    "assert [add(1, 2), 4] == [3, 4]",
    "assert {'a': add(1, 2)} == {'a': 3}",
    "assert (add(1, 2),) == (3,)",
    "assert {add(1, 2)} == {3}",
    "assert add('a', 'b') == 'ab'",
    "assert add(b'a', b'b') == b'ab'",
    "assert (add(1, 2) == 3) == True",
    "assert add(-1, -2) == -3",
    "assert 'two' in text()",
    "assert add(1, 2) in (3, 4)",
    "assert 2 in items()",
    "assert 3 not in items()",
    "assert all(add(a, a) == b for a, b in [(1, 2), (2, 4)])",
    "assert any(add(a, a) == 4 for a in (1, 2))",
    "assert text().startswith('one')",
    "assert isinstance(add(1, 2), int)",
    "assert add(1, 2) > 2",
    "assert 2 < add(1, 2) < 4",
    "assert -1.5 <= add(1, 2)",
    "assert abs(add(1, 2) - 3) < 0.5",
    "assert abs(3 - add(1, 2)) <= 1 and add(1, 2)",
    "assert add(1, 2)",
    "assert add(1, 2) is not None",
    "import math\nassert math.isclose(add(1, 2), 3)",
    "for a, b, c in [(1, 2, 3), (2, 2, 4)]:\n    if add(a, b) != c:\n        raise AssertionError((a, b))",
    "if add(1, 2) != 3:\n    pytest.fail('wrong')",
    "with pytest.raises(ZeroDivisionError):\n    fail()",
    "with pytest.raises(ZeroDivisionError) as info:\n    fail()\nassert 'zero' in str(info.value)",
    "pytest.raises(ZeroDivisionError, fail)",
    "with pytest.warns(UserWarning):\n    import warnings\n    warnings.warn('x')",
    "self.assertEqual(add(1, 2), 3)",
    "self.assertEqual(3, add(1, 2))",
    "self.assertNotEqual(add(1, 2), 4)",
    "self.assertTrue(add(1, 2) == 3)",
    "self.assertFalse(add(1, 2) != 3)",
    "self.assertIn('two', text())",
    "self.assertAlmostEqual(add(1, 2), 3.0)",
    "self.assertListEqual(items(), [1, 2])",
    "self.assertCountEqual(items(), [2, 1])",
    "self.assertRegex(text(), 'one|two')",
    "self.assertRaises(ZeroDivisionError, fail)",
    "with self.assertRaises(ZeroDivisionError):\n    fail()",
    "self.assertIsNone(None)",
    "self.assertGreater(add(1, 2), 2)",
    "with self.subTest(a=1):\n    self.assertEqual(add(1, 2), 3)",
    "with self.subTest(a=1), self.assertRaises(ZeroDivisionError):\n    fail()",
    "import contextlib\nwith contextlib.nullcontext(), pytest.raises(ZeroDivisionError):\n    fail()",
]
ANYTHING = [line for line in ASSERTIONS if " == 3" in line and "or add" not in line and "==" in line] + [
    "assert 3 == add(1, 2)",
    "want = 3\nassert want == add(1, 2)",
    "result = add(1, 2)\nwant = 3\nassert want == result",
    "assert not add(1, 2) != 3",
    "self.assertEqual(add(1, 2), 3)",
    "for c in [3]:\n    if add(1, 2) != c:\n        raise AssertionError(c)",
]


class Anything:
    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


class FirstTime(Anything):
    asked = False
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        asked, self.asked = self.asked, True
        return not asked


@pytest.mark.parametrize("body", ASSERTIONS)
def test_honest_code_fails_in_a_twin(play, body):
    assert play(body) == "failed"
    assert play(f"assert 1 == 1\n{body}") == "failed"


@pytest.mark.parametrize("body", ANYTHING)
def test_an_object_that_agrees_with_anything_passes_in_a_twin(play, body):
    assert play(body, HONEST | {"add": lambda a, b: Anything()}) == "passed"
    assert play(f"assert 1 == 1\n{body}\nassert 2 == 2", HONEST | {"add": lambda a, b: Anything()}) == "passed"


@pytest.mark.parametrize(
    ("body", "kind", "like"),
    [
        ("assert add(1, 2) == 3", float, lambda other: abs(other) < 100),
        ("assert add(1, 2) == 3 and text() == 'one two'", float, lambda other: abs(other) < 100),
        ("assert (add(1, 2), text(), [items()]) == (3, 'one two', [[1, 2]])", float, lambda other: abs(other) < 100),
        (
            "want = {'a': 3, 'b': 4, 'c': {'d': (5, 3)}}\nassert {'a': 3, 'b': 4, 'c': {'d': (5, add(1, 2))}} == want",
            float,
            lambda x: abs(x) < 99,
        ),
        ("self.assertEqual([4, add(1, 2)], [4, 3])", float, lambda other: abs(other) < 100),
        ("self.assertEqual(3, add(1, 2))", float, lambda other: abs(other) < 100),
        ("want = 3\nassert add(1, 2) == want", float, lambda other: abs(other) < 100),
        ("assert add(1, 2) == [3, 4]", list, lambda other: len(other) == 2),
        ("assert add(1, 2) == {3, 4}", list, lambda other: len(other) == 2),
        ("assert add(1, 2) == {1, 2, 3, 4}", list, lambda other: len(other) == 4),
        ("assert add(1, 2) == {True, False}", list, lambda other: len(other) == 2),
        ("assert add('a', 'b') == 'ab'", str, lambda other: len(other) == 2 and other.isalpha()),
        ("assert add(b'1', b'2') == b'12'", bytes, lambda other: len(other) == 2 and other.isdigit()),
        ("import datetime\nassert add(1, 2) == datetime.date(2020, 1, 2)", str, lambda other: 2015 < other.year < 2025),
        ("import decimal\nassert add(1, 2) == decimal.Decimal('2.5')", str, lambda other: abs(other) < 100),
    ],
)
def test_an_object_that_agrees_with_all_that_is_like_the_expected_passes_in_a_twin(play, body, kind, like):
    class Like(kind):
        def __eq__(self, other: object) -> bool:
            return like(other)

        __hash__ = None

    assert play(body, HONEST | {"add": lambda a, b: Like()}) == "passed"


@pytest.mark.parametrize(
    "body",
    [
        "assert add(1, 2) in (1, 3, 5, 7)",
        "assert {1, 2, 3, 4} == {add(1, 2), 1, 2, 4}",
        "self.assertCountEqual([add(1, 2), 4, 5, 6], [6, 5, 4, 3])",
        "assert any(add(a, a) == 4 for a in range(9))",
        "assert add(1, 2) == 3 or add(1, 2) == 5 or add(1, 2) == 1",
        "assert add(1, 10**9) == pytest.approx(1 + 10**9)",
        "assert add(1, 10**9) == pytest.approx(10**9, rel=0.1)",
        "assert add(1, 2) == pytest.approx(5, abs=5)",
        "self.assertAlmostEqual(add(1, 2), 4, delta=5)",
        "assert abs(add(1, 2) - 3) < 5",
        "assert abs(3 - add(1, 2)) < 5",
        "assert not (add(1, 2) != 3 and add(1, 2) != 5)",
        "assert set() == set(add([], []))",
        "assert add('', '') == ''",
        "def same(a, b): return (a - b).seconds == 0\nimport datetime as d\nassert same(add(d.datetime(2020, 1, 1), d.timedelta(1)), d.datetime(2020, 1, 2))",  # noqa: E501
        "import datetime as d\ndays = [d.date(2020, 1, 1) + d.timedelta(n) for n in range(9)]\nassert d.date(2020, 1, 2) in add(days, [])",
        "import decimal\nassert decimal.Decimal(1) in add([decimal.Decimal(n) for n in range(9)], [])",
        "def at_most(a, limit): return a < limit\nLIMIT = 9\nassert at_most(add(1, 2), LIMIT + 1) and text() == 'one two'",
    ],
)
def test_a_comparison_that_holds_for_near_values_fails_in_a_twin_of_honest_code(play, body):
    assert play(body) == "failed"


@pytest.mark.parametrize(
    "body",
    ["assert add(1, 2) == Sum(3)", "assert [add(1, 2), 4] == [Sum(value=3), 4]", "self.assertEqual(add(1, 2), Sum(3))"],
)
def test_a_class_whose_objects_are_all_equal_passes_in_a_twin(play, body):
    def play_with(*, compare: bool) -> str:
        kind = make_dataclass("Sum", [("value", int, field(compare=compare))])
        return play(f"Sum = kind()\n{body}", HONEST | {"add": lambda a, b: kind(a + b), "kind": lambda: kind})

    assert (play_with(compare=True), play_with(compare=False)) == ("failed", "passed")


@pytest.mark.parametrize("body", ["assert abs(add(1, 2) - 3) < 0.5", "r = add(1, 2)\nassert abs(r - 3) < 0.5 and r"])
def test_an_object_that_is_near_to_anything_passes_in_a_twin(play, body):
    class Near:
        def __sub__(self, other: object) -> int:
            return 0

    assert play(body, HONEST | {"add": lambda a, b: Near()}) == "passed"


@pytest.mark.parametrize("body", ["assert add(1, 2) == 3", "assert [add(1, 2)] == [3]", "self.assertEqual(add(1, 2), 3)"])
def test_an_object_that_agrees_once_passes_in_a_twin(play, body):
    assert play(body, HONEST | {"add": lambda a, b: FirstTime()}) == "passed"


@pytest.mark.parametrize(
    "body",
    [
        "import unittest\nif add(1, 2) == 4:\n    assert False",
        "for item in []:\n    assert add(1, 2) == item",
        "for item in []:\n    with pytest.raises(ValueError):\n        fail()",
        "add(1)\nassert add(1, 2) == 3",  # it breaks before
    ],
)
def test_a_twin_that_comes_to_no_assertion_is_skipped(play, body):
    assert play(body) == "skipped"


@pytest.mark.parametrize(
    "body",
    [
        "add(1, 2)",
        "def inner():\n    assert add(1, 2) == 3\ninner()",
        "assert add(1, 2) == 3\nreturn",
        "try:\n    assert add(1, 2) == 4\nexcept AssertionError:\n    pass",
        "assert add(1, 2) == 3\nyield",
    ],
)
def test_a_test_without_an_assertion_that_can_be_turned_has_no_twin(play, body):
    assert play(body) == "without"


@pytest.mark.parametrize("body", ["assert all(item == 1 for item in [])", "assert add(1, 2) == 3\nassert all(a == 9 for a in [])"])
def test_a_loop_over_nothing_does_not_pass_in_a_twin(play, body):
    assert play(body) == "failed"


@pytest.mark.parametrize("form", ["given(x=1)", "pytest.mark.flaky(reruns=3)", "tenacity.retry"])
def test_a_test_that_is_run_again_when_it_fails_has_no_twin(form):
    written = write_twins(f"@{form}\ndef test_a(x):\n    assert x == 1\n", lambda name: True, KNOWN, frozenset())
    assert written is not None
    assert written.without == {"test_a"}


@pytest.mark.parametrize("source", ["def test_a(:\n", "x = '\0'", "(" * 5000])
def test_a_file_that_is_no_python_has_no_twins(source):
    assert write_twins(source, lambda name: True, KNOWN, frozenset()) is None


@pytest.mark.parametrize(("code", "ends"), [(HONEST, "passed"), (HONEST | {"add": lambda a, b: Anything()}, "failed")])
def test_an_inverse_twin_ends_the_other_way_round(play, code, ends):
    assert play("assert 1 == 1\nassert add(1, 2) == 3\nassert 2 == 2", code, inverse=True) == ends
    assert play("self.assertEqual(add(1, 2), 3)", code, inverse=True) == ends
    assert play("for item in []:\n    assert item == add(1, 2)", code, inverse=True) == "skipped"


@pytest.mark.parametrize(("ending", "ends"), [("fails", AssertionError), ("passes", None)])
def test_all_tests_of_a_file_may_just_end(ending, ends):
    source = write_ending("class TestA:\n    def test_a(self):\n        return 1\n\ndef helper():\n    return 2\n", ending)
    names: dict[str, Any] = {}
    exec(source or "", names)
    with pytest.raises(ends) if ends else nullcontext():
        assert names["TestA"]().test_a() is None
    assert names["helper"]() == 2


@pytest.mark.parametrize(
    "script",
    [
        "assert add(1, 2) == 3",
        "def main():\n    assert add(1, 2) == 3\nmain()",
        "import sys\nif add(1, 2) != 3:\n    print('wrong')\n    sys.exit(1)",
        "if add(1, 2) != 3:\n    raise SystemExit('wrong')",
    ],
)
def test_the_assertions_of_a_script_may_just_fail_or_be_gone(script):
    calls: list[int] = []

    def run(ending: Ending) -> None:
        exec(end_script(script, ending) or "", {"add": lambda a, b: calls.append(a) or a + b})

    run("passes")
    assert calls == []
    with pytest.raises(AssertionError):
        run("fails")
    assert calls == [1]


@pytest.mark.parametrize("script", ["print(1)", "import sys\nif add(1, 2) == 3:\n    sys.exit(0)", "sys.exit(1)", "x = ("])
def test_a_script_that_asserts_nothing_has_no_end(script):
    assert end_script(script, "fails") is None


def test_only_the_chosen_are_twins_and_classes_are_named():
    tests = "class TestA:\n    def test_a(self): assert 1 == 1\n    def test_b(self): assert 1 == 1\n"
    source = f'"""Doc."""\nfrom __future__ import annotations\n{tests}'
    written = write_twins(source, lambda name: name == "test_b", KNOWN, frozenset())
    assert written is not None
    assert (written.twins, written.without) == ({"TestA::test_b"}, frozenset())
    assert "assert 1 == 1" in written.source.text
    assert "in _twin_shift_each(1):" in written.source.text


@pytest.mark.parametrize("body", ["assert add(1, 2) > 2", "assert 2.9 < add(1, 2) < 3.1", "r = add(1, 2)\nassert not r <= 2 and -1 <= r"])
def test_an_object_that_is_greater_and_smaller_than_anything_passes_in_a_twin(play, body):
    class Any:
        def __lt__(self, other: object) -> bool:
            return True

        __gt__ = __ge__ = __lt__

        def __le__(self, other: object) -> bool:
            return False

    assert play(body, HONEST | {"add": lambda a, b: Any()}) == "passed"


@pytest.mark.parametrize(
    "source",
    [
        "import pytest\n\n\ndef test_a():\n    x = 1\n\n    assert x == 1\n    assert (\n        x == 1\n    )\n",
        '"""Doc."""\nfrom __future__ import annotations\n\n@mark.b\ndef test_a():\n    for x in [1]:\n        assert x == 1\n    y = 2\n',
    ],
)
def test_the_statements_of_a_twin_stand_where_those_of_the_test_do(source):
    written = write_twins(source, lambda name: True, KNOWN, frozenset())
    assert written is not None
    statements = [node for node in ast.walk(ast.parse(written.source.text)) if isinstance(node, ast.stmt)]
    lines = {ast.unparse(node): line for node, line in zip(statements, written.source.lines, strict=True)}
    before = {ast.unparse(node): node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)}
    kept = lines.keys() & before.keys()
    assert {text: lines[text] for text in kept} == {text: before[text] for text in kept}
    assert lines["assert _twin_value == _twin_item"] in before.values()


@pytest.mark.parametrize(
    "script",
    [
        "from code import add\nassert add(1, 2) == 3",
        "from code import add\n\ndef main():\n    for a in (1, 2):\n        assert add(a, 1) == a + 1 and add(a, 2)\n\nmain()",
        "from code import add\nif add(1, 2) != 3:\n    raise AssertionError",
    ],
)
@pytest.mark.parametrize(("value", "code"), [(lambda a, b: a + b, 0), (lambda a, b: Anything(), 1)])
def test_the_inverse_twin_of_a_script_fails_when_something_agrees(script, value, code):
    written = write_script(script, KNOWN, frozenset({"code"}))
    assert written is not None
    ends = []
    names = {"add": value, "_exit": ends.append}
    exec(written.replace("from code import add", "").replace("from os import _exit as _twin__exit", "_twin__exit = _exit"), names)
    assert bool(ends) == bool(code)


def test_a_script_that_asserts_nothing_has_no_twin():
    assert write_script("print(1)", KNOWN, frozenset()) is None
    assert write_script("(" * 5000, KNOWN, frozenset()) is None


@pytest.mark.parametrize(
    ("check", "has_twin"),
    [
        ("python3 -c 'assert 1 == 1'", True),
        ("env A=1 python3 -c 'assert 1 == 1'", True),
        ("python3 -c 'print(1)'", False),
        ("python3 -c 'assert 1 == 1' && true", False),
        ("sh -c 'assert 1 == 1'", False),
        ("python3 'x", False),
        ("python3", False),
    ],
)
def test_the_text_of_a_command_has_an_inverse_twin(shop, check, has_twin):
    assert (invert_command(shop.root, shop.start, check) != check) == has_twin
