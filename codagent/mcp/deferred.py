"""Tools that a model is not shown from the start: it finds them by words, and may call them from then on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from codagent.text import first_line
from codagent.types import Tool

PREFIX = "mcp__"
FIND = f"{PREFIX}find"  # no server's tool has this name: those have two parts after the prefix
_MOST_FOUND = 8  # by one call
_SHORT = 2  # letters
_LISTED = 100  # names of tools, where no words fit


def make_find_tool(counts: Mapping[str, int]) -> Tool:
    """Return the tool that finds the others. `counts` says how many tools each server has that are to be found."""
    servers = ", ".join(f"{name} ({count})" for name, count in counts.items())
    what = f"Find tools of these servers by words, to call them from the next step on; in brackets is how many each has: {servers}"
    words = {"type": "string", "description": "what the tool should do, or its name"}
    return Tool(FIND, what, {"type": "object", "properties": {"query": words}, "required": ["query"]})


def find_tools(query: str, tools: Sequence[Tool]) -> list[Tool]:
    """Return the tools that fit the words of a query, the best first.

    A word in the name weighs more than one in the description, where words of one or two letters do not count.
    """
    words = set(_split(query))
    long = {word for word in words if len(word) > _SHORT}
    scores = {tool.name: 3 * len(words & set(_split(tool.name))) + len(long & set(_split(tool.description))) for tool in tools}
    fitting = [tool for tool in tools if scores[tool.name] or tool.name == query.strip()]
    return sorted(fitting, key=lambda tool: (tool.name != query.strip(), -scores[tool.name]))[:_MOST_FOUND]


def describe_found(found: Iterable[Tool], all_tools: Iterable[Tool]) -> str:
    """Return the answer for the model: a line for each tool that was found. Where none was, the names of all."""
    lines = [f"{tool.name}: {first_line(tool.description, 200)}" for tool in found]
    if lines:
        return "\n".join(["ok", *lines])
    names = [tool.name for tool in all_tools]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"error: no tool fits these words. There are {', '.join(names[:_LISTED])}{more}"


def read_found(answer: str) -> list[str]:
    """Return the names of the tools that such an answer has found."""
    return [line.partition(":")[0] for line in answer.splitlines() if line.startswith(PREFIX)]


def _split(text: str) -> list[str]:
    """Split a text into words, and each word as `createIssue` into its parts."""
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).lower())
