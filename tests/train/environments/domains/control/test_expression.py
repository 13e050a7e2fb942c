"""The language of control laws: what it computes, and what it refuses."""

import time

import pytest

from codagent_train.environments.domains.control.expression import NAMES, Expression

VALUES = {"x": 2.0, "v": -1.0, "t": 3.0, "x_target": 5.0, "v_target": 0.0, "horizon": 12.0, "remaining_steps": 9.0}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.36*(x_target - x) - 0.88*v", 1.96),
        ("-x ** 2", -4.0),
        ("1 if x > 1 and not v > 0 else 2", 1.0),
        ("1 if 1 < x < 2 else 0", 0.0),
        ("clip(x, -1, 1) + min(1, 2, 3) + max(v, 0)", 2.0),
        ("ifelse(lt(v, 0), abs(v), pow(x, 3))", 1.0),
        ("remaining_steps / horizon", 0.75),
        ("(x > 1) * 3", 3.0),
        ("7", 7.0),
    ],
)
def test_expressions_have_their_value(text, value):
    assert Expression(text).value(VALUES) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x +",
        "y",
        "x; v",
        "x = 1",
        "__import__('os')",
        "x.real",
        "[x][0]",
        "(lambda: x)()",
        "abs(x, v)",
        "min(x)",
        "abs(value=x)",
        "'a'",
        "True",
        "x // 2",
        "x % 2",
        "x @ v",
        "~x",
        "x is v",
        "f'{x}'",
        "(x := 3)",
        "9" * 1500,
        "x" + " + x" * 400,
        "-" * 1900 + "x",
        "(" * 900 + "x" + ")" * 900,
        "x\0",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        Expression(text)


@pytest.mark.parametrize(
    "text",
    ["9**9**9**9", "1/(x-2)", "(-8)**0.5", "x > 1", "not x", "x and v", "1e308*10 - 1e308*10", "0/0", "clip((-8)**0.5, 0, 1)", "10**400"],
)
def test_values_that_are_no_finite_number_fail_at_once(text):
    began = time.process_time()
    expression = Expression(text)
    with pytest.raises((ArithmeticError, ValueError)):
        expression.value(VALUES)
    assert time.process_time() - began < 1.0


def test_all_names_are_known():
    assert set(NAMES) == set(VALUES)
