"""Calls that a model writes as text."""

import pytest

from codagent.models.tool_calls.json_in_text import find_json_calls


@pytest.mark.parametrize(
    "text", ["[" * 50_000, "[" * 50_000 + "]" * 50_000, '{"name": ' * 5000, "<tool_call>" + "[" * 50_000 + "</tool_call>"]
)
def test_what_is_nested_without_end_is_no_call_and_stays_text(text):
    assert find_json_calls(text, {"say"}) == ([], text)
