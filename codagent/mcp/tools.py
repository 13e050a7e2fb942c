"""The tools of MCP servers as a model sees them, `mcp__server__tool`, and their answers as text."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from codagent.mcp.deferred import FIND, PREFIX, describe_found, find_tools, make_find_tool, read_found
from codagent.protocols import ignore_text
from codagent.settings.settings import McpServer
from codagent.text import escape_controls, first_line, parse_json, sanitize, truncate_middle
from codagent.types import Episode, Profile, Step, Tool, ToolCall

if TYPE_CHECKING:
    from mcp import types

    from codagent.mcp.connection import Connections

MAX_TOOLS = 100  # that are shown, of all servers together; some providers take no more than 128
MAX_DEFERRED = 1_000  # that can be found, of all servers together
MAX_SCHEMA_BYTES = 64 * 1024  # of one tool
_MAX_NAME = 64  # characters; providers take no more
_MAX_DESCRIPTION = 2_000  # characters
_MAX_SHOWN = 2_000  # characters of the arguments that a person is asked about
_POLL_S = 0.1

CallAnswer = Literal["once", "always", "no"]
AskCall = Callable[[str, Callable[[], None]], CallAnswer]  # gets a call in a line, and what to call while it waits, which may raise


@dataclass(frozen=True, slots=True)
class _Known:
    """A tool, and where it is."""

    tool: Tool
    server: McpServer
    name: str  # as its server calls it


class McpTools:
    """The tools of the servers of one loop. A server that does not start is told, and its tools are left out."""

    def __init__(
        self,
        servers: Sequence[McpServer] = (),
        root: Path = Path(),
        say: Callable[[str], None] = ignore_text,
        earlier: Sequence[Step] = (),
        ask: AskCall | None = None,
    ) -> None:
        """Connect to the servers at once. `root` is the repository. `say` hears which server is not used, and why.

        `earlier` are recorded steps that will be repeated: their calls get the recorded answers, and no server is asked again. `ask` asks
        a person about calls of servers that want it; None: nobody is there, and such servers are not used. Raises UsageError when the SDK
        is not installed.
        """
        self._say, self._ask = say, ask
        self._servers = tuple(self._choose(servers))
        self._found: dict[str, None] = {}  # names of deferred tools, in the order in which they were found
        self._allowed: set[str] = set()  # tools whose calls a person has allowed for good
        self.expect(earlier)
        self._connections: Connections | None = None
        if self._servers:
            from codagent.mcp.connection import Connections

            self._connections = Connections(self._servers, root)

    def expect(self, steps: Sequence[Step]) -> None:
        """Answer the calls of these steps, which are about to be repeated, as they were answered before. No server is asked again."""
        self._recorded = deque(_find_answers(steps))

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools that the model is shown, once the servers have listed them. Those that it has found come last."""
        shown = [known.tool for known in self._known.values() if not known.server.defer]
        if counts := Counter(known.server.name for known in self._known.values() if known.server.defer):
            shown.append(make_find_tool(counts))
        return (*shown, *(self._known[name].tool for name in self._found if name in self._known))[:MAX_TOOLS]

    def recall(self, episodes: Iterable[Episode]) -> None:
        """Show the tools that were found in recorded episodes."""
        for episode in episodes:
            for (name, _), answer in _find_answers(episode.steps):
                self._note_found(name, answer)

    def find(self, call: ToolCall, profile: Profile, check: Callable[[], None]) -> Callable[[], str] | None:
        """Return what answers a call. None: it is for no tool of these. `check` is called while a server works, and may raise."""
        if not call.name.startswith(PREFIX):
            return None
        if self._recorded and self._recorded[0][0] == (call.name, call.arguments):
            _, answer = self._recorded.popleft()
            self._note_found(call.name, answer)
            return lambda: answer
        if call.name == FIND and any(known.server.defer for known in self._known.values()):
            return partial(self._find_tools, call)
        known = self._known.get(call.name)
        return partial(self._call, known, call, profile, check) if known else None

    def close(self) -> None:
        """Close the connections, and end the servers that were started here."""
        if self._connections:
            self._connections.close()

    def _find_tools(self, call: ToolCall) -> str:
        """Answer a call that looks for tools, and show those that it has found from now on."""
        query = _read_arguments(call)
        if isinstance(query, str):
            return query
        deferred = [known.tool for known in self._known.values() if known.server.defer]
        answer = describe_found(find_tools(str(query.get("query", "")), deferred), deferred)
        self._note_found(call.name, answer)
        return answer

    def _note_found(self, name: str, answer: str) -> None:
        if name == FIND:
            self._found |= dict.fromkeys(read_found(answer))

    def _choose(self, servers: Sequence[McpServer]) -> Iterator[McpServer]:
        """Yield the servers that may be used."""
        for server in servers:
            if server.approval == "ask" and self._ask is None:
                self._say(f"the MCP server {server.name} is not used: its calls are to be approved, and nobody is asked here")
            elif server.approval != "never":
                yield server

    @cached_property
    def _known(self) -> dict[str, _Known]:
        known: dict[str, _Known] = {}
        for server in self._servers:
            assert self._connections
            listed = self._connections.list_tools(server.name)
            if isinstance(listed, str):
                self._say(f"the MCP server {server.name} is not used: {listed}")
                continue
            for tool in listed:
                if (not server.tools or tool.name in server.tools) and tool.name not in server.without:
                    self._add(known, server, tool)
        return known

    def _add(self, known: dict[str, _Known], server: McpServer, tool: types.Tool) -> None:
        name = name_tool(server.name, tool.name)
        size = len(json.dumps(tool.input_schema))
        if size > MAX_SCHEMA_BYTES:
            self._say(f"the MCP tool {name} is left out: its schema has {size:,} bytes, and {MAX_SCHEMA_BYTES:,} are the most")
        elif sum(other.server.defer == server.defer for other in known.values()) == (most := MAX_DEFERRED if server.defer else MAX_TOOLS):
            self._say(f"the MCP tool {name} is left out: there are {most} already; enabled_tools in [mcp.{server.name}] chooses")
        elif name not in known:
            description = sanitize(tool.description or tool.title or "")[:_MAX_DESCRIPTION]
            known[name] = _Known(Tool(name, description, {"type": "object", **tool.input_schema}), server, tool.name)

    def _call(self, known: _Known, call: ToolCall, profile: Profile, check: Callable[[], None]) -> str:
        arguments = _read_arguments(call)
        if isinstance(arguments, str):
            return arguments
        if not self._may_call(known, arguments, check):
            return f"error: the person did not allow this call of {call.name}; do not try it again, go on without it"
        assert self._connections
        working = self._connections.call(known.server.name, known.name, arguments, known.server.seconds)
        try:
            while not _is_done(working):
                check()
        finally:
            working.cancel()
        if failure := working.exception():
            return f"error: the MCP server {known.server.name}: {first_line(str(failure) or type(failure).__name__, 300)}"
        return _write_answer(working.result(), profile)

    def _may_call(self, known: _Known, arguments: Mapping[str, Any], check: Callable[[], None]) -> bool:
        """Return whether a call may be made. A person is asked, where the server wants that, unless the tool was allowed for good."""
        name = known.tool.name
        if known.server.approval == "allow" or name in self._allowed:
            return True
        assert self._ask, "the server would not be used"
        text = escape_controls(json.dumps(arguments, ensure_ascii=False))
        more = f"… and {len(text) - _MAX_SHOWN:,} characters more" if len(text) > _MAX_SHOWN else ""
        answer = self._ask(f"{name} {text[:_MAX_SHOWN]}{more}", check)
        if answer == "always":
            self._allowed.add(name)
        return answer != "no"


def name_tool(server: str, tool: str) -> str:
    """Return the name that a model calls a tool by. A name that is too long ends with a hash of the whole."""
    name = f"{PREFIX}{re.sub(r'[^a-zA-Z0-9_-]', '_', server)}__{re.sub(r'[^a-zA-Z0-9_-]', '_', tool)}"
    if len(name) <= _MAX_NAME:
        return name
    return f"{name[: _MAX_NAME - 9]}_{hashlib.sha256(f'{server}/{tool}'.encode()).hexdigest()[:8]}"


def _read_arguments(call: ToolCall) -> dict[str, Any] | str:
    """Return the arguments of a call. A text says for the model what is wrong with them."""
    try:
        arguments = parse_json(call.arguments or "{}")
    except ValueError as error:
        return f"error: the arguments of {call.name} are not whole or not valid JSON ({error})"
    return arguments if isinstance(arguments, dict) else f"error: the arguments of {call.name} are not a JSON object"


def _is_done(working: Future[types.CallToolResult]) -> bool:
    try:
        working.exception(_POLL_S)
    except TimeoutError:
        return working.done()
    return True


def _write_answer(result: types.CallToolResult, profile: Profile) -> str:
    """Return the parts of a result as text, within the limits of any tool's output."""
    parts = [_write_part(part) for part in result.content]
    if not any(parts) and result.structured_content is not None:
        parts = [json.dumps(result.structured_content, ensure_ascii=False)]
    text = escape_controls("\n".join(filter(None, parts)))
    text = truncate_middle(text, max_lines=profile.output_lines * 2, max_bytes=profile.output_bytes * 2)
    return f"error: {text or 'the tool failed'}" if result.is_error else f"ok\n{text}".rstrip("\n")


def _write_part(part: types.ContentBlock) -> str:
    if part.type == "text":
        return part.text
    if part.type == "resource" and isinstance(text := getattr(part.resource, "text", None), str):
        return f"{part.resource.uri}:\n{text}"
    if part.type == "resource_link":
        return str(part.uri)
    return f"({part.type} that is not shown)"


def _find_answers(steps: Sequence[Step]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield each recorded call of a server's tool, name and arguments, with its answer."""
    for step in steps:
        if step.observation.end != "interrupted":
            for call, message in zip(step.reply.message.tool_calls, step.observation.messages, strict=False):
                if call.name.startswith(PREFIX):
                    yield (call.name, call.arguments), message.content


NO_SERVERS = McpTools()
