"""Calls that a model writes as XML into its text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codagent.models.tool_calls.formats import decode
from codagent.types import Calling, Tool

TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
BASH = Tool("bash", "Run.", {"type": "object", "properties": {"command": TEXT, "timeout": NUMBER}, "required": ["command"]})
LIST = Tool("edit", "Edit.", {"type": "object", "properties": {"lines": {"type": "array"}, "all": {"type": "boolean"}, "old": TEXT}})


@pytest.mark.parametrize("calling", ["native", "text", "constrained"])
@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        (
            "<tool_call>\n<function=bash>\n<parameter=command>\nseq 2 > a\ntrue\n</parameter>\n</function>\n</tool_call>",
            {"command": "seq 2 > a\ntrue"},
        ),
        ("<function=bash>\n<parameter=command>\n\nls\n\n</parameter>\n</function>", {"command": "\nls\n"}),
        (
            '<function_calls><invoke name="bash"><parameter name="command">ls</parameter><parameter name="timeout">7</parameter></invoke>',
            {"command": "ls", "timeout": 7},
        ),
        ("<function=bash>\n<parameter=command>\nls\n<parameter=timeout>\n7\n</parameter>\n</function>", {"command": "ls", "timeout": 7}),
        ("<tool_call>\n<function=bash>\n<parameter=command>\nls\n</parameter>\n</tool_call>", {"command": "ls"}),
        ('<function=bash>{"command": "ls"}</function>', {"command": "ls"}),
        ("<function=bash>\n<parameter=timeout>\nlong\n</parameter>\n</function>", {"timeout": "long"}),
        ('<invoke name="bash"><parameter name="command">echo "<b>" &amp; 1</parameter></invoke>', {"command": 'echo "<b>" &amp; 1'}),
    ],
)
def test_a_call_in_xml_is_read(calling: Calling, text: str, arguments: dict[str, Any]) -> None:
    rest, calls = decode(calling, f"I look.\n{text}", (BASH, LIST), turn=3)
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [("bash", arguments)]
    assert rest == ("I look." if calling == "native" else f"I look.\n{text}")


def test_parameters_have_the_types_of_the_schema() -> None:
    text = "<function=edit><parameter=lines>[1, 2]</parameter><parameter=all>True</parameter><parameter=old>12</parameter></function>"
    assert json.loads(decode("native", text, (LIST,))[1][0].arguments) == {"lines": [1, 2], "all": True, "old": "12"}


def test_several_calls_are_read_in_their_order() -> None:
    one = "<tool_call>\n<function=bash>\n<parameter=command>\n{}\n</parameter>\n</function>\n</tool_call>\n"
    calls = decode("native", one.format("a") + one.format("b"), (BASH,))[1]
    assert [json.loads(call.arguments)["command"] for call in calls] == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        "<function=bash>\n<parameter=command>\nrm -r bu",
        "<tool_call><function=bash>\n<parameter=command>\nls\n</parameter>\n",
        '<invoke name="bash"><parameter name="command">rm -r bu',
    ],
)
def test_a_call_that_was_cut_off_has_arguments_that_the_tool_refuses(text: str) -> None:
    ((name, arguments),) = [(call.name, call.arguments) for call in decode("native", text, (BASH,), cut=True)[1]]
    assert name == "bash"
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(arguments)


@pytest.mark.parametrize(
    "text", ["<function=unknown><parameter=a>1</parameter></function>", "<function>", "<invoke name='bash'", "<b>ls</b>"]
)
def test_other_tags_are_text(text: str) -> None:
    assert decode("native", text, (BASH,)) == (text, ())


def test_a_call_in_thoughts_is_none() -> None:
    text = "<think><function=bash>\n<parameter=command>\nrm a\n</parameter>\n</function></think>Done."
    assert decode("native", text, (BASH,)) == ("Done.", ())
