"""Twins that are written and run in this process, without pytest around them."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from codagent.repository.gate.twins.expressions import Known
from codagent.repository.gate.twins.writer import write_twins

KNOWN = Known("_twin_", 2, 4711, "z9")
HONEST = {"add": lambda a, b: a + b, "text": lambda: "one two", "items": lambda: [1, 2], "fail": lambda: 1 / 0}


@pytest.fixture
def play() -> Callable[..., str]:
    """Write the twin of a test that is called `test`, and tell how it ends: passed, failed, skipped, or without a twin."""

    def end_of(body: str, code: Mapping[str, Any] = HONEST, *, inverse: bool = False) -> str:
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        source = f"from code import add, text, items, fail\ndef test(self=None):\n{lines}\n"
        written = write_twins(source, lambda name: True, KNOWN, frozenset({"code"}), inverse=inverse)
        assert written is not None
        if not written.twins:
            return "without"
        names: dict[str, Any] = {"unittest": unittest, "pytest": pytest, "__name__": "tests"}
        exec(written.source.text.replace("from code import add, text, items, fail", ""), names)
        names.update(code)
        try:
            names["test"](unittest.TestCase())
        except unittest.SkipTest:
            return "skipped"
        except AssertionError:
            return "failed"
        return "passed"

    return end_of
