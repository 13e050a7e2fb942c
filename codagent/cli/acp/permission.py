"""The question whether a tool of an MCP server may be called, as the editor asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import TYPE_CHECKING

import acp
from acp import schema

if TYPE_CHECKING:
    from codagent.mcp.tools import CallAnswer

_POLL_S = 0.1
_OPTIONS = [
    schema.PermissionOption(option_id="once", name="Allow this call", kind="allow_once"),
    schema.PermissionOption(option_id="always", name="Allow this tool in this session", kind="allow_always"),
    schema.PermissionOption(option_id="no", name="Do not call it", kind="reject_once"),
]


@dataclass(frozen=True, slots=True)
class Permission:
    """Asks the editor of one session."""

    client: acp.Client
    session_id: str
    loop: asyncio.AbstractEventLoop  # in which the connection lives

    def ask(self, call_id: str, title: str, check: Callable[[], None]) -> CallAnswer:
        """Ask about the call with this id, from another thread than the connection's. `check` may end the wait by raising."""
        call = schema.ToolCallUpdate(tool_call_id=call_id, title=title, status="pending")
        asking = self.client.request_permission(session_id=self.session_id, tool_call=call, options=_OPTIONS)
        answered = asyncio.run_coroutine_threadsafe(asking, self.loop)
        try:
            while True:
                try:
                    chosen = getattr(answered.result(_POLL_S).outcome, "option_id", "no")
                    return "once" if chosen == "once" else "always" if chosen == "always" else "no"
                except NotYet:
                    check()
        finally:
            answered.cancel()
