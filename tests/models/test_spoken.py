"""Calls that a model writes as text."""

import pytest

from codagent.models.spoken import find_spoken


@pytest.mark.parametrize(
    "text", ["[" * 50_000, "[" * 50_000 + "]" * 50_000, '{"name": ' * 5000, "<tool_call>" + "[" * 50_000 + "</tool_call>"]
)
def test_what_is_nested_without_end_is_no_call_and_stays_text(text):
    assert find_spoken(text, {"say"}) == ([], text)
