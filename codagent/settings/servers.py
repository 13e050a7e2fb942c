"""MCP servers as settings: `[mcp.NAME]` of the user's file, and `.mcp.json` of a repository."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from codagent.errors import UsageError
from codagent.settings.settings import Approval, McpServer
from codagent.settings.toml import Table, Text, Texts, parse_table, read_text
from codagent.settings.trust import Brought

REPOSITORY_FILE = ".mcp.json"

_TextTable = Annotated[dict[str, str], Meta(description="a table of texts")]


class ServerTable(Table, frozen=True):
    """The table [mcp.NAME]. A server is started by `command`, or asked at `url`."""

    command: Text | None = None
    args: Annotated[tuple[str, ...], Meta(description="a list of texts")] | None = None
    env: _TextTable | None = None
    cwd: Text | None = None
    url: Text | None = None
    headers: _TextTable | None = None
    enabled_tools: Texts | None = None
    disabled_tools: Texts | None = None
    approval: Approval | None = None
    defer: bool | None = None
    timeout: Annotated[float, Meta(gt=0, le=3600, description="seconds, at most an hour")] | None = None


_FIELDS = {"enabled_tools": "tools", "disabled_tools": "without", "timeout": "seconds"}  # of McpServer, by other keys


def parse_servers(tables: Mapping[str, Any], where: Path) -> tuple[McpServer, ...]:
    """Return the servers of the user's file. Raises UsageError for what does not fit."""
    return tuple(_parse_server(name, table, f"{where}: [mcp.{name}]", own=True) for name, table in tables.items())


def read_repository_servers(root: Path) -> tuple[McpServer, ...]:
    """Return the servers that the `.mcp.json` of a repository names. Keys that codagent does not know are left out.

    Raises UsageError when the file cannot be used.
    """
    path = root / REPOSITORY_FILE
    if not path.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"{path} is a link that leads out of the repository, and is not followed; remove it")
    try:
        tables = json.loads(read_text(path)).get("mcpServers", {})
        known = {
            name: {key: value for key, value in table.items() if key in ServerTable.__struct_fields__} for name, table in tables.items()
        }
    except FileNotFoundError:
        return ()
    except (ValueError, AttributeError, RecursionError):
        raise UsageError(f'{path} is not usable; it must be JSON, as in {{"mcpServers": {{"NAME": {{"command": "…"}}}}}}') from None
    return tuple(_parse_server(name, table, f"{path}: {name}", own=False) for name, table in known.items())


def describe_brought_servers(root: Path, servers: Sequence[McpServer]) -> Brought:
    """Describe the servers that a repository brings, to be allowed by a person."""
    tables = [asdict(server) for server in servers]
    words = [word for server in servers for word in (server.command, *server.args)]
    return Brought("MCP servers", root, tables, words, [describe_server(server) for server in servers])


def describe_server(server: McpServer) -> str:
    """Describe a server in a line: what is run or asked, and what it is given."""
    more = server.headers if server.url else server.env
    given = f" with {', '.join(f'{key}={value}' for key, value in more.items())}" if more else ""
    place = f" in {server.cwd}" if server.cwd else ""
    return f"{server.name}: {server.url or ' '.join((server.command, *server.args))}{place}{given}"


def _parse_server(name: str, table: Any, where: str, *, own: bool) -> McpServer:
    if not isinstance(table, Mapping):
        raise UsageError(f'{where} must be a table, as in: command = "my-server"')
    stated = parse_table(table, ServerTable, where=where).to_dict()
    if ("command" in stated) == ("url" in stated):
        raise UsageError(f"{where} must have either 'command' or 'url'")
    return McpServer(name, own=own, **{_FIELDS.get(key, key): value for key, value in stated.items()})
