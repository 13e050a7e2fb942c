"""Connections to MCP servers, held in a thread of their own by the official SDK."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codagent.errors import UsageError
from codagent.redaction import remember_named, remember_secret
from codagent.settings.settings import McpServer
from codagent.text import first_line

if TYPE_CHECKING:
    import mcp
    from mcp import types

CONNECT_S = 30.0  # for the connection and the list of tools
_LEAVE_S = 3.0  # that servers get to end
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class Connections:
    """Connects to servers as soon as it is made. Any thread may use it."""

    def __init__(self, servers: Sequence[McpServer], root: Path) -> None:
        """`root` is the repository, in which servers are started. Raises UsageError when the SDK is not installed."""
        try:
            import mcp  # noqa: F401 - here, because an import in the thread would hold up the others
        except ModuleNotFoundError as error:
            if error.name != "mcp":
                raise
            raise UsageError("MCP servers need one more package; install it with: pip install 'codagent[mcp]'") from None
        self._root = root
        self._clients: dict[str, mcp.Client] = {}
        self._listed: dict[str, Future[list[types.Tool]]] = {server.name: Future() for server in servers}
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._hold_all(servers)), name="mcp", daemon=True)
        self._thread.start()

    def list_tools(self, server: str) -> list[types.Tool] | str:
        """Wait for the tools of a server. Returns a sentence when it cannot be had."""
        listed = self._listed[server]
        try:
            error = listed.exception(CONNECT_S)
        except TimeoutError:
            return f"it did not answer within {CONNECT_S:g} s"
        return _describe(error) if error else listed.result()

    def call(self, server: str, tool: str, arguments: dict[str, Any], seconds: float) -> Future[types.CallToolResult]:
        """Call a tool of a server whose tools were listed."""
        loop, _ = self._started.result()
        return asyncio.run_coroutine_threadsafe(self._clients[server].call_tool(tool, arguments, read_timeout_seconds=seconds), loop)

    def close(self) -> None:
        """Close all connections. Servers that were started here are ended."""
        loop, closing = self._started.result()
        loop.call_soon_threadsafe(closing.set)
        self._thread.join(3 * _LEAVE_S)

    async def _hold_all(self, servers: Sequence[McpServer]) -> None:
        closing = asyncio.Event()
        tasks = [asyncio.create_task(self._hold(server, closing)) for server in servers]
        self._started.set_result((asyncio.get_running_loop(), closing))
        await closing.wait()
        _, late = await asyncio.wait(tasks, timeout=_LEAVE_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=_LEAVE_S)

    async def _hold(self, server: McpServer, closing: asyncio.Event) -> None:
        """Hold the connection to one server. What goes wrong before its tools are listed is told there."""
        listed = self._listed[server.name]
        work = asyncio.create_task(self._list(server, listed, closing))
        try:
            await asyncio.wait([work])
        finally:
            work.cancel()
        error = None if work.cancelled() else work.exception()
        if not listed.done():
            listed.set_exception(error or ConnectionError("it was ended"))

    async def _list(self, server: McpServer, listed: Future[list[types.Tool]], closing: asyncio.Event) -> None:
        async with _connect(server, self._root) as client:
            page = await client.list_tools()
            tools = list(page.tools)
            while page.next_cursor:
                page = await client.list_tools(cursor=page.next_cursor)
                tools += page.tools
            self._clients[server.name] = client
            listed.set_result(tools)
            await closing.wait()


@asynccontextmanager
async def _connect(server: McpServer, root: Path) -> AsyncIterator[mcp.Client]:
    """Start a server, or connect to one that is elsewhere. It inherits only a few safe variables, and those that are named."""
    import mcp

    remember_named({**server.headers, **server.env, "": server.url})
    async with AsyncExitStack() as stack:
        if server.url:
            import httpx2
            from mcp.client.streamable_http import streamable_http_client

            http = await stack.enter_async_context(httpx2.AsyncClient(headers=_fill_in(server.headers), timeout=server.seconds))
            transport = streamable_http_client(_fill_in({"": server.url})[""], http_client=http)
        else:
            from mcp.client.stdio import stdio_client

            errors = stack.enter_context(open(os.devnull, "w"))  # noqa: PTH123, SIM115 - what servers print there would spoil the terminal
            command, *args = _fill_in(dict(enumerate((server.command, *server.args)))).values()
            parameters = mcp.StdioServerParameters(command=command, args=args, env=_fill_in(server.env), cwd=root / server.cwd)
            transport = stdio_client(parameters, errlog=errors)
        yield await stack.enter_async_context(mcp.Client(transport, read_timeout_seconds=CONNECT_S))


def _fill_in(texts: Mapping[Any, str]) -> dict[Any, str]:
    """Put the values of environment variables in the place of ${NAME} and ${NAME:-default}. They are hidden wherever they are printed."""

    def read(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if value is None and match[2] is None:
            raise ValueError(f"the environment variable {match[1]} is not set")
        remember_secret(value or "")
        return value if value is not None else match[2]

    return {key: _VARIABLE.sub(read, text) for key, text in texts.items()}


def _describe(error: BaseException) -> str:
    """Say in a line what went wrong, without the groups in which the SDK puts it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return first_line(str(error) or type(error).__name__, 300)
