"""Tool calls that a model wrote as JSON into its text: the whole text, in a ```json block, or between <tool_call> tags."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from codagent.text import parse_json

_TAGGED = re.compile(r"<(tool_call|function_call)>\s*(.*?)\s*(?:</\1>|\Z)", re.DOTALL)
_FENCED = re.compile(r"^```(?:json|tool_call)?[ \t]*\n(.*?)(?:^```[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r'"(?:name|tool)"\s*:\s*"([\w-]+)"')
_ARGUMENTS = re.compile(r'"(?:arguments|parameters|args|input)"\s*:\s*(\{.*)', re.DOTALL)


def find_json_calls(text: str, names: Collection[str]) -> tuple[list[tuple[str, str]], str]:
    """Return the calls of the tools called `names`, as (name, arguments), and the text without these calls."""
    for pattern, group in ((_TAGGED, 2), (_FENCED, 1)):
        matches = [(match, list(_read_calls(match[group], names))) for match in pattern.finditer(text)]
        if any(calls for _, calls in matches):
            rest = text
            for match, calls in reversed(matches):
                rest = rest[: match.start()] + rest[match.end() :] if calls else rest
            return [call for _, calls in matches for call in calls], rest.strip()
    calls = list(_read_calls(text, names)) if text.lstrip().startswith(("{", "[")) else []
    return (calls, "") if calls else ([], text)


def _read_calls(text: str, names: Collection[str]) -> Iterator[tuple[str, str]]:
    try:
        value = parse_json(text)
    except ValueError:
        yield from _read_torn(text, names)
        return
    for item in value if isinstance(value, list) else [value]:
        call = _read_call(item, names) if isinstance(item, dict) else None
        if call:
            yield call


def _read_call(item: dict[str, Any], names: Collection[str]) -> tuple[str, str] | None:
    if isinstance(item.get("function"), dict):
        item = item["function"]
    name = next((item[key] for key in ("name", "tool", "function") if isinstance(item.get(key), str)), None)
    if name is None or name not in names:
        return None
    loose = {key: value for key, value in item.items() if key not in ("name", "tool", "function", "thought", "id", "type")}
    arguments = next((item[key] for key in ("arguments", "parameters", "args", "input") if key in item), loose)
    return name, arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _read_torn(text: str, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield a call that was cut off or has broken JSON, with its arguments as they are, so that the tool reports the error."""
    name = _NAME.search(text)
    if name and name[1] in names and text.lstrip().startswith("{"):
        arguments = _ARGUMENTS.search(text)
        yield name[1], arguments[1].rstrip() if arguments else ""
