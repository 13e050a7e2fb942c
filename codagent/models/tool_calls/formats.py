"""The three formats of tool calls: translation between codagent's values and what a server is sent. Pure functions.

native       the server's own tool calls
constrained  one JSON object, {thought, tool, arguments}, which the server forces to follow a schema
text         fenced blocks (see `fenced`), for models that do neither well
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from codagent.models.tool_calls.block_paths import find_path
from codagent.models.tool_calls.fenced import describe, find_calls, find_files, read_blocks, render
from codagent.models.tool_calls.json_in_text import find_json_calls
from codagent.models.tool_calls.provider_data import unpack
from codagent.models.tool_calls.thoughts import remove_thoughts
from codagent.models.tool_calls.xml_in_text import find_xml_calls
from codagent.text import parse_json
from codagent.types import Calling, Message, Tool, ToolCall

Json = dict[str, Any]
_BLOCKS = "Call a tool with a fenced block. Take more backticks for the fence when the body holds such a fence itself. The tools:"
_OBJECT = 'Answer with one JSON object, {"thought": …, "tool": …, "arguments": {…}}, and nothing else. The tools:'


def encode(calling: Calling, messages: Sequence[Message], tools: Sequence[Tool]) -> tuple[list[Json], list[Json] | None, Json | None]:
    """Return the messages, the tools and the schema of a request.

    The tools are None unless `calling` is native; the schema is None unless it is constrained.
    """
    if not tools or calling == "native":
        return [_encode_message(message) for message in messages], [_encode_tool(tool) for tool in tools] or None, None
    described = _describe_tools(calling, tools)
    system = [message.content for message in messages if message.role == "system"]
    encoded: list[Json] = [{"role": "system", "content": "\n\n".join([*system, described])}]
    names: dict[str | None, str] = {}
    files = find_shown_files(messages)
    for message in messages:
        if message.role == "assistant":
            names |= {call.id: call.name for call in message.tool_calls}
            _append(encoded, "assistant", _render_reply(calling, message, tools, files))
        elif message.role == "tool":
            _append(encoded, "user", f"Answer of {names.get(message.tool_call_id, 'the tool')}:\n{message.content}")
        elif message.role == "user":
            _append(encoded, "user", message.content)
    return encoded, None, _call_schema(tools) if calling == "constrained" else None


def decode(
    calling: Calling, content: str, tools: Sequence[Tool], *, files: Sequence[str] = (), turn: int = 0, cut: bool = False
) -> tuple[str, tuple[ToolCall, ...]]:
    """Return the text and the calls of a reply, without its thoughts. The text includes its calls; only in native they are removed.

    `files` are paths that a block without a path may belong to. `turn` keeps the ids of calls distinct within a conversation. `cut` says
    that the reply ended at its length limit.
    """
    text = content = remove_thoughts(content)
    calls = find_calls(content, tools, cut=cut) if calling == "text" else []
    if not calls:
        calls, rest = find_json_calls(content, [tool.name for tool in tools])
        if not calls:
            calls, rest = find_xml_calls(content, tools)
        text = rest if calling == "native" else content
    if not calls and calling == "text":
        calls = find_files(content, tools, files, cut=cut)
    return text, tuple(ToolCall(f"call_{turn}_{at}", name, arguments) for at, (name, arguments) in enumerate(calls))


def find_shown_files(messages: Sequence[Message]) -> tuple[str, ...]:
    """Return the files that the messages show under their path, in the order in which they appear first."""
    paths: dict[str, None] = {}
    for message in messages:
        if message.role == "user":
            labelled = (find_path(block.info, block.before, block.body, ()) for block in read_blocks(message.content))
            paths |= {path: None for path, _ in labelled if path}
    return tuple(paths)


def _encode_message(message: Message) -> Json:
    encoded: Json = {"role": message.role, "content": message.content}
    if message.tool_calls:
        encoded["content"] = message.content or None
        encoded["tool_calls"] = [_encode_call(call) for call in message.tool_calls]
    if message.tool_call_id:
        encoded["tool_call_id"] = message.tool_call_id
    if not message.provider_data:
        return encoded
    fields, keys = unpack(message.provider_data)
    for call, more in zip(encoded.get("tool_calls", ()), keys, strict=False):
        call["function"].update(more.pop("function", {}))
        call.update(more)
    return encoded | fields


def _encode_call(call: ToolCall) -> Json:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _repair(call.arguments)}}


def _repair(arguments: str) -> str:
    """Return arguments that a server can parse. A server refuses a whole conversation for one earlier call that is not valid JSON."""
    return arguments if _parse(arguments) is not None else json.dumps({"malformed": arguments})


def _parse(arguments: str) -> Mapping[str, Any] | None:
    try:
        value = parse_json(arguments, strict=True)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _encode_tool(tool: Tool) -> Json:
    return {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}}


def _describe_tools(calling: Calling, tools: Sequence[Tool]) -> str:
    if calling == "text":
        return "\n\n".join([_BLOCKS, *(describe(tool) for tool in tools)])
    return "\n".join([_OBJECT, *(f"- {tool.name}({_describe_parameters(tool)}): {tool.description}" for tool in tools)])


def _describe_parameters(tool: Tool) -> str:
    required = tool.parameters.get("required", ())
    return ", ".join(name if name in required else f"{name}?" for name in tool.parameters.get("properties", {}))


def _call_schema(tools: Sequence[Tool]) -> Json:
    one_each = [
        {
            "type": "object",
            "properties": {"thought": {"type": "string"}, "tool": {"const": tool.name}, "arguments": dict(tool.parameters)},
            "required": ["thought", "tool", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    return one_each[0] if len(one_each) == 1 else {"anyOf": one_each}


def _render_reply(calling: Calling, message: Message, tools: Sequence[Tool], files: Sequence[str]) -> str:
    """Write an earlier reply in this format. A text that contains its calls stays as it was sampled."""
    if not message.tool_calls or decode(calling, message.content, tools, files=files)[1]:
        return message.content
    offered = {tool.name: tool for tool in tools}
    calls = []
    for call in message.tool_calls:
        arguments = _parse(call.arguments)
        if calling == "text" and call.name in offered and arguments is not None:
            calls.append(render(offered[call.name], arguments))
        else:
            calls.append(json.dumps({"thought": message.content, "tool": call.name, "arguments": arguments or {}}, ensure_ascii=False))
    return "\n\n".join([message.content, *calls] if message.content and calling == "text" else calls)


def _append(encoded: list[Json], role: str, content: str) -> None:
    """Append a message. Neighbours of the same role become one message, because many chat templates require that roles alternate."""
    if encoded[-1]["role"] == role:
        encoded[-1]["content"] += f"\n\n{content}"
    else:
        encoded.append({"role": role, "content": content})
