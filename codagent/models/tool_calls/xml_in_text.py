"""Tool calls that a model wrote as XML into its text: `<function=NAME>` with `<parameter=KEY>`, or `<invoke name="NAME">`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from codagent.text import parse_json
from codagent.types import Tool

_CALL = re.compile(
    r"<(?:antml:)?(?P<tag>function|invoke)(?:=|\s+name\s*=\s*)[\"']?(?P<name>[\w.-]+)[\"']?\s*>"
    r"(?P<body>(?:(?!<(?:antml:)?(?P=tag)[=\s]).)*?)(?P<end></(?:antml:)?(?P=tag)>|</tool_call>|(?=<(?:antml:)?(?P=tag)[=\s])|\Z)",
    re.DOTALL,
)
_PARAMETER = re.compile(
    r"<(?:antml:)?parameter(?:=|\s+name\s*=\s*)[\"']?(?P<key>[\w.-]+)[\"']?[^>\n]*>(?P<value>.*?)"
    r"(?P<end></(?:antml:)?parameter>|(?=\n<(?:antml:)?parameter[=\s])|\Z)",
    re.DOTALL,
)
_WRAPPER = re.compile(r"</?(?:tool_call|function_calls|antml:function_calls)>\s*")


def find_xml_calls(text: str, tools: Sequence[Tool]) -> tuple[list[tuple[str, str]], str]:
    """Return the calls of `tools`, as (name, arguments), and the text without these calls.

    A call that was cut off has incomplete arguments, so that the tool refuses it.
    """
    offered = {tool.name: tool for tool in tools}
    matches = [match for match in _CALL.finditer(text) if match["name"] in offered]
    if not matches:
        return [], text
    rest, at = "", 0
    for match in matches:
        rest, at = rest + text[at : match.start()], match.end()
    calls = [(match["name"], _read_arguments(match, offered[match["name"]].parameters)) for match in matches]
    return calls, _WRAPPER.sub("", rest + text[at:]).strip()


def _read_arguments(call: re.Match[str], parameters: Mapping[str, Any]) -> str:
    body = call["body"]
    if body.lstrip().startswith("{"):
        return body.strip()  # JSON between the tags
    found = list(_PARAMETER.finditer(body))
    schemas = parameters.get("properties", {})
    written = json.dumps({each["key"]: _read_value(each["value"], schemas.get(each["key"], {})) for each in found}, ensure_ascii=False)
    torn = not call["end"] or any(not each["end"] and each.end() == len(body) for each in found)
    return written[:-1] if torn else written


def _read_value(value: str, schema: Mapping[str, Any]) -> Any:
    """Return a value of the type that the schema names. What is no such value stays text, which the tool refuses."""
    value = value.removeprefix("\n").removesuffix("\n")
    if schema.get("type", "string") == "string":
        return value
    try:
        return parse_json(value.strip().lower() if schema.get("type") == "boolean" else value)
    except ValueError:
        return value
