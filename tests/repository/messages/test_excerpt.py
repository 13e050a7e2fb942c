"""Which parts of a Python file are shown where the whole does not fit, and how."""

import pytest

from codagent.repository.messages.excerpt import excerpt_python
from codagent.repository.tools.python_edit import redefine

MODULE = '''\
"""Prices."""

import math

RATE = 0.2
LIMIT = 9


def tax(net):
    return net * RATE


def gross(net):
    return net + tax(net)


class Basket(list):
    """What is bought."""

    size = 3

    def __init__(self, items):
        self.items = items

    def __repr__(self):
        return "a basket"

    def total(self):
        return sum(self.prices())

    def prices(self):
        return [gross(item) for item in self.items]


def odd(values):
    return values
'''


def show(about, *, max_bytes=10_000, text=MODULE):
    return excerpt_python("shop/prices.py", text, about, max_bytes)


def test_a_function_that_is_tested_comes_with_what_it_uses():
    assert show("FAILED tests/test_prices.py::test_gross\n>       assert gross(10) == 12") == (
        "\n# …\n\ndef tax(net):\n    return net * RATE\n\n\ndef gross(net):\n    return net + tax(net)\n\n# …\n\n"
    )


def test_a_method_comes_below_the_head_of_its_class():
    text = show("assert Basket([]).total() == 1")
    assert "class Basket(list):\n" in text
    assert "    def __init__(self, items):\n" in text  # it ran, too
    assert "    def total(self):\n        return sum(self.prices())\n" in text
    assert "def prices" in text  # total uses it
    assert "def odd" not in text


@pytest.mark.parametrize(
    "about", [">       return values\nE       TypeError: x", "shop/prices.py:35: TypeError", "/workspace/shop/prices.py:36: in f"]
)
def test_the_place_of_an_error_is_shown(about):
    shown = "def odd(values)" in show(about)
    assert shown == ("/workspace" not in about)  # a path of another folder may be another file


def test_the_number_of_a_line_in_another_file_says_nothing():
    assert show("other/shop/prices.py:35: in f\nshop/prices.pyx:35") == ""


def test_a_constant_that_is_used_is_a_part():
    assert "RATE = 0.2\n" in show("test_tax fails: tax(1) gives 0.2")


def test_statements_that_share_a_line_are_shown_once():
    assert show("LOW(1) HIGH(1)", text="LOW = 1; HIGH = 2\n") == "LOW = 1; HIGH = 2\n"


def test_what_is_much_less_likely_is_left_out():
    about = "FAILED test_gross\n>       return net + tax(net)\nE   TypeError\nshop/prices.py:13: TypeError\nodd"
    assert "def odd" not in show(about)


@pytest.mark.parametrize("name", ["do", "get"])
def test_a_short_name_in_a_sentence_is_a_word(name):
    text = f"def {name}(x): ...\n\ndef other(x): ...\n"
    assert show(f"do not change it, get it right, other fails: {name}", text=text).strip() == "# …\n\ndef other(x): ...".strip()
    assert f"def {name}" in show(f"{name}(1) fails", text=text)


def test_what_does_not_fit_is_left_out_and_the_next_is_tried():
    long = "def gross(net):\n" + "    net += 1\n" * 500 + "def tax(net):\n    return net\n"
    assert show("gross(1) == tax(1)", max_bytes=200, text=long) == "\n# …\n\ndef tax(net):\n    return net\n"


@pytest.mark.parametrize("text", ["def f(:\n", "def gross(): '\0'\n", "(" * 5000, "gross = 1\n" * 200_000])
def test_what_cannot_be_read_is_not_shown(text):
    assert show("gross(1)", text=text) == ""


def test_nothing_named_is_nothing_shown():
    assert show("hello") == ""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_part_is_word_for_word_what_the_file_has(end):
    text = MODULE.replace("\n", end)
    lines = [line for line in show("Basket total gross odd(", text=text).splitlines() if line.strip() and "# …" not in line]
    assert lines
    assert all(line in text.splitlines() for line in lines)


def test_an_excerpt_as_an_answer_changes_nothing():
    shown = show("assert Basket([]).total() == 1")
    assert "bought" not in shown
    assert redefine(MODULE, shown)[0] == MODULE


DESCRIBED = '''\
def short(value):
    """Halve it."""
    return value / 2


class Scale:
    def long(self, value):
        """Double it.

        It is not halved.
        """
        return value * 2

    def only(self):
        """Nothing is done.

        Nothing.
        """
'''


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_long_docstring_is_left_out_and_an_answer_without_it_keeps_it(end):
    text = DESCRIBED.replace("\n", end)
    shown = show("short(1) long(1) only(1)", text=text)
    assert ("Halve it" in shown, "Double it" in shown, "Nothing is done" in shown) == (True, False, True)
    assert f"    def long(self, value):{end}        return value * 2{end}" in shown
    assert redefine(text, shown)[0].replace("\r\n", "\n") == DESCRIBED


def test_much_less_likely_functions_are_not_shown_beside_suspects():
    lines = MODULE.splitlines()
    suspicions = {lines.index("def gross(net):") + 1: 8, lines.index("def odd(values):") + 1: 2}
    shown = excerpt_python("shop/prices.py", MODULE, "it fails", 10_000, suspicions)
    assert ("def gross" in shown, "def odd" in shown) == (True, False)
