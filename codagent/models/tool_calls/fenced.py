"""Tool calls as fenced blocks, for models that write code better between fences than inside JSON.

The first line of a block names the tool, then its path or pattern, then optional parameters as `name=value`. The other required
parameters are in the body: one parameter is the whole body, several stand between conflict markers. So the schema of a tool defines how
its call looks:

    ```write src/a.py          ```edit src/a.py          ```read src/a.py lines=20
    x = 1                      <<<<<<<                   ```
    ```                        old
                               =======
                               new
                               >>>>>>>
                               ```
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codagent.models.tool_calls.block_paths import find_path
from codagent.types import Tool

FencedCall = tuple[str, str]  # a tool's name and its arguments as JSON
_ON_THE_FIRST_LINE = ("path", "pattern")
_SHELLS = ("sh", "shell", "zsh", "console")
_PROSE = (".md", ".markdown", ".mdx", ".rst")  # files that hold fences themselves
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,}) *([^`]*?)\s*$")
_PARTS = re.compile(r"^<{7}[^\n]*\n(.*?)^>{7}[^\n]*$", re.DOTALL | re.MULTILINE)
_BETWEEN = re.compile(r"^={7}[ \t]*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    `before` is the last line above it that has text. `closed` is false when the text ended inside the block.
    """

    info: str
    body: str
    before: str
    closed: bool


def read_blocks(text: str, names: Sequence[str] = ()) -> Iterator[Block]:
    """Yield the fenced blocks of `text`.

    A block inside another belongs to the body of the outer one. A block that shows a file of prose (Markdown) extends to the last fence
    before the block of a tool in `names`, because such a file has fences of its own.
    """
    lines, at, before = text.split("\n"), 0, ""
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        if fence:
            end = _find_end(lines, at, fence[1], names if fence[2].endswith(_PROSE) else None)
            yield Block(fence[2], "\n".join(lines[at + 1 : end]), before, end < len(lines))
            at = end
        before = lines[at].strip() or before if at < len(lines) else before
        at += 1


def _find_end(lines: Sequence[str], start: int, fence: str, names: Sequence[str] | None) -> int:
    """Return the number of the line that closes the block opened at `start`.

    With `names`, that is the last fence before the block of another tool. Returns the number of lines when nothing closes the block.
    """
    depth, last = 0, len(lines)
    for at in range(start + 1, len(lines)):
        inner = _FENCE.match(lines[at])
        if not inner or not inner[1].startswith(fence):
            continue
        if inner[2]:
            if names is not None and inner[2].split()[0] in names and inner[2].split()[0] != "bash":
                break
            depth += 1
            continue
        last = at
        if depth:
            depth -= 1
        elif names is None:
            break
    return last


def find_calls(text: str, tools: Sequence[Tool], *, cut: bool = False) -> list[FencedCall]:
    """Return the calls in `text` that are blocks which name a tool.

    `cut` says that the text ended at its length limit; a block that is still open then gets incomplete JSON as its arguments.
    """
    offered = {tool.name: tool for tool in tools}
    aliases = dict.fromkeys(_SHELLS, "bash")
    calls: list[FencedCall] = []
    for block in read_blocks(text, tuple(offered)):
        name, _, rest = block.info.partition(" ")
        tool = offered.get(name) or offered.get(aliases.get(name, ""))
        if tool:
            calls += [
                (tool.name, _to_json(arguments, torn=cut and not block.closed)) for arguments in _read_arguments(tool, rest, block.body)
            ]
        elif _FENCE.match(block.body.partition("\n")[0]):  # a call wrapped in a block of its own
            calls += find_calls(block.body, tools, cut=cut)
    return calls


def find_files(text: str, tools: Sequence[Tool], files: Sequence[str] = (), *, cut: bool = False) -> list[FencedCall]:
    """Return writes for the blocks that show a whole file under its path, which small models do whatever they are asked for.

    If a Python block may belong to several of `files`, the last one is named: the tool `define` finds the file of its functions itself.
    """
    offered = {tool.name for tool in tools}
    if "write" not in offered:
        return []
    calls = []
    for block in read_blocks(text):
        path, body = find_path(block.info, block.before, block.body, files)
        if path is None and "define" in offered and block.info in ("python", "py"):
            path = next((file for file in reversed(files) if file.endswith(".py")), None)
        if path and body.strip():
            tool = "define" if "define" in offered and path.endswith(".py") else "write"
            calls.append((tool, _to_json({"path": path, "content": body + "\n"}, torn=cut and not block.closed)))
    return calls


def render(tool: Tool, arguments: Mapping[str, Any]) -> str:
    """Write a call as a block. Its fence is longer than any fence in its body."""
    first, bodies, optional = _split_parameters(tool)
    info = [tool.name, *(str(arguments[name]) for name in first if name in arguments)]
    info += [f"{name}={arguments[name]}" for name in optional if name in arguments]
    values = [str(arguments.get(name, "")).removesuffix("\n") for name in bodies]
    body = values[0] if len(values) == 1 else "<<<<<<<\n" + "\n=======\n".join(values) + "\n>>>>>>>" if values else ""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"^ {0,3}(`{3,})", body, re.MULTILINE)), default=0))
    return f"{fence}{' '.join(info)}\n{body}\n{fence}" if bodies else f"{fence}{' '.join(info)}\n{fence}"


def describe(tool: Tool) -> str:
    """Describe to the model how `tool` is called and what it does."""
    properties = tool.parameters.get("properties", {})
    example = render(tool, {name: f"<{name}>" for name in tool.parameters.get("required", ())})
    notes = [f"{name}: {about['description']}" for name, about in properties.items() if about.get("description")]
    optional = _split_parameters(tool)[2]
    more = f" Optional on the first line: {', '.join(f'{name}=…' for name in optional)}." if optional else ""
    return f"{example}\n{tool.description}{more}" + (f" ({'; '.join(notes)})" if notes else "")


def _split_parameters(tool: Tool) -> tuple[list[str], list[str], list[str]]:
    """Return the names of the parameters on the first line, of those in the body, and of the optional ones."""
    required = list(tool.parameters.get("required", ()))
    first = [name for name in required if name in _ON_THE_FIRST_LINE]
    bodies = [name for name in required if name not in _ON_THE_FIRST_LINE]
    return first, bodies, [name for name in tool.parameters.get("properties", {}) if name not in required]


def _read_arguments(tool: Tool, rest: str, body: str) -> Iterator[dict[str, Any]]:
    """Yield the arguments of a block, once for each pair of an edit. A missing parameter is left out, so that the tool reports it."""
    first, bodies, _ = _split_parameters(tool)
    properties = tool.parameters.get("properties", {})
    head, arguments = _split_options(rest, properties)
    for name in first:
        if name not in arguments and not head:
            head, _, body = body.partition("\n")
        if head:
            arguments[name] = head.strip("`'\"") if name == "path" else head
            head = ""
    if len(bodies) < 2:
        value = body or head
        yield arguments | {name: _end_line(name, value) for name in bodies if value and name not in arguments}
        return
    parts = [[part.removesuffix("\n") for part in _BETWEEN.split(edit)] for edit in _PARTS.findall(body)]
    for values in parts or [[]]:
        yield arguments | (dict(zip(bodies, values, strict=True)) if len(values) == len(bodies) else {})


def _split_options(rest: str, properties: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Split the `name=value` pairs off the end of the first line. Returns the rest of the line, and the pairs."""
    arguments: dict[str, Any] = {}
    while match := re.search(r"(?:^|\s)(\w+)=(\S+)$", rest):
        name, value = match[1], match[2].strip("\"'")
        if name not in properties:
            break
        is_number = properties[name].get("type") == "integer" and value.isdecimal() and len(value) < 10  # the tool answers any other text
        arguments[name] = int(value) if is_number else value
        rest = rest[: match.start()]
    return rest.strip(), arguments


def _to_json(arguments: Mapping[str, Any], *, torn: bool) -> str:
    """Write arguments as a server would send them. `torn` removes the end, so that an incomplete call is never carried out."""
    whole = json.dumps(arguments, ensure_ascii=False)
    return whole[:-1] if torn else whole


def _end_line(name: str, value: str) -> str:
    return value + "\n" if name == "content" else value
