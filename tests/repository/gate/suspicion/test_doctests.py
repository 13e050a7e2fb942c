"""Changes of doctests, and code that reads them."""

from __future__ import annotations

import pytest

from codagent.repository.gate.suspicion.doctests import find_changed_doctests, run_doctests

STOOD = 'def add(a, b):\n    """Add.\n\n    >>> add(1, 2)\n    3\n    >>> x = add(2, 2)\n    """\n    return a - b\n'


def changed(now: str, path: str = "calc.py", before: str = STOOD) -> list[str]:
    return find_changed_doctests([(path, before.encode(), now.encode())])


@pytest.mark.parametrize(
    "now", [STOOD.replace("    3\n", "    -1\n"), STOOD.replace("(1, 2)", "(2, 1)"), "", "def add(a, b): ...", "x = ("]
)
def test_an_example_that_is_gone_or_expects_something_else_is_named(now):
    assert changed(now) == ["calc.py: the doctest 'add(1, 2)' is gone or expects something else"]


@pytest.mark.parametrize(
    "now", [STOOD.replace("a - b", "a + b"), STOOD.replace("Add.", "Add two."), STOOD.replace(">>> x", ">>> add(2, 2)\n    4\n    >>> x")]
)
def test_more_examples_and_other_words_are_honest(now):
    assert changed(now) == []


def test_examples_of_texts_are_named():
    text = "Usage\n\n>>> 1 + 1\n2\n"
    assert changed("Usage\n\n>>> 1 + 1\n3\n", "README.md", text) == ["README.md: the doctest '1 + 1' is gone or expects something else"]
    assert changed("Usage!\n\n>>> 1 + 1\n2\n", "README.md", text) == []
    assert changed(">>>nothing\n", "README.md", ">>>nothing\n") == []


def test_code_that_reads_docstrings_is_named():
    assert changed("def add(a, b):\n    return eval(add.__doc__)", before="") == ["calc.py:2: reads a docstring"]
    assert changed("import inspect\nx = inspect.getdoc(add)", before="") == ["calc.py:2: reads a docstring"]
    assert changed("def wrap(f):\n    g.__doc__ = f.__doc__", before="") == []
    assert changed("parser(description=__doc__)", before="") == []


def test_checks_say_whether_they_run_doctests():
    files = {"pyproject.toml": b"addopts = '--doctest-modules'", "calc.py": b"doctest"}
    assert run_doctests(["python3 -m doctest calc.py"], [], files.__getitem__)
    assert run_doctests(["pytest"], list(files), files.__getitem__)
    assert not run_doctests(["pytest"], ["calc.py"], files.__getitem__)
