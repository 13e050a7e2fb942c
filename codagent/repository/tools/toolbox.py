"""All tools of one loop: those of the sandbox and those of MCP servers, with the person's hooks around both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from codagent.mcp.tools import NO_SERVERS, McpTools
from codagent.protocols import Sandbox
from codagent.repository.tools import calls
from codagent.repository.tools.offered import select_tools
from codagent.repository.tools.tool_hooks import Hooks
from codagent.store.ledger import Ledger
from codagent.types import Profile, Tool, ToolCall


@dataclass(frozen=True, slots=True)
class Toolbox:
    """Lists the tools, and answers calls."""

    hooks: Hooks = Hooks()
    servers: McpTools = NO_SERVERS

    def list_tools(self, profile: Profile) -> tuple[Tool, ...]:
        """Return the tools that a model with this profile may call. One that is offered only some tools gets none of a server's."""
        own = select_tools(profile)
        return own if profile.tools else (*own, *self.servers.tools)

    def answer(self, sandbox: Sandbox, call: ToolCall, profile: Profile, ledger: Ledger) -> str:
        """Answer a call. Raises SandboxError when the sandbox is broken, and KeyboardInterrupt when a server's tool is interrupted."""
        do = self.servers.find(call, profile, ledger.check_interrupted)
        return self.hooks.answer(call, do or partial(calls.call, sandbox, call, profile, seconds_left=ledger.seconds_left))
