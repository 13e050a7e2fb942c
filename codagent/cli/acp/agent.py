"""The agent's side of the protocol: sessions, prompts, options, and the question whether changes are to be accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import acp
from acp import helpers, schema

from codagent import __version__
from codagent.cli.acp.editor_commands import COMMANDS, accept_work, run_line
from codagent.cli.acp.held_session import HeldSession
from codagent.cli.acp.permission import Permission
from codagent.cli.acp.update_stream import UpdateStream
from codagent.cli.acp.updates import describe_change, describe_past
from codagent.errors import CodagentError, UsageError
from codagent.session.opening import list_sessions, load_session
from codagent.settings.settings import McpServer
from codagent.store import layout
from codagent.text import count, first_line
from codagent.types import EFFORTS

T = TypeVar("T")

Servers = Sequence[Any] | None  # MCP servers as the editor names them
# takes the folder, the id of a session (None: a fresh one), the person's MCP servers, and what makes the display
Hold = Callable[[Path, str | None, tuple[McpServer, ...], Callable[[Path], UpdateStream]], HeldSession]
_APPLY, _NOT_YET = "apply", "not-yet"
_STOPS: dict[str, schema.StopReason] = {
    "interrupted": "cancelled",
    "refused": "refusal",
    "steps": "max_turn_requests",
    "tokens": "max_tokens",
}


class EditorAgent:
    """Answers an editor. It has the methods of `acp.Agent` that codagent knows."""

    def __init__(self, hold: Hold, find_loops: Callable[[Path], Path]) -> None:
        """`hold` begins a session or goes on with one, and `find_loops` finds the records of the repository around a folder."""
        self._hold, self._find_loops = hold, find_loops
        self._client: acp.Client | None = None
        self._sessions: dict[str, HeldSession] = {}
        self._sent: Future[None] | None = None  # the latest update that was sent
        self._asked = 0  # how often the person was asked whether changes are to be accepted

    def on_connect(self, conn: acp.Client) -> None:
        self._client = conn

    async def initialize(self, protocol_version: int, **_: Any) -> acp.InitializeResponse:  # noqa: ARG002 - there is one version so far
        sessions = schema.SessionCapabilities(
            list=schema.SessionListCapabilities(), resume=schema.SessionResumeCapabilities(), close=schema.SessionCloseCapabilities()
        )
        return acp.InitializeResponse(
            protocol_version=acp.PROTOCOL_VERSION,
            agent_info=schema.Implementation(name="codagent", title="codagent", version=__version__),
            agent_capabilities=schema.AgentCapabilities(
                load_session=True,
                mcp_capabilities=schema.McpCapabilities(http=True),
                prompt_capabilities=schema.PromptCapabilities(embedded_context=True),
                session_capabilities=sessions,
            ),
            auth_methods=[],
        )

    async def new_session(self, cwd: str, mcp_servers: Servers = None, **_: Any) -> acp.NewSessionResponse:
        held = await self._open(cwd, None, mcp_servers)
        return acp.NewSessionResponse(session_id=held.session.id, config_options=_list_options(held))

    async def load_session(self, cwd: str, session_id: str, mcp_servers: Servers = None, **_: Any) -> schema.LoadSessionResponse:
        held = self._sessions.get(session_id) or await self._open(cwd, session_id, mcp_servers)
        loop = await _answer(asyncio.to_thread(load_session, held.options.loops, session_id))
        held.stream.meter.recall(loop.episodes)
        for update in describe_past(loop, held.options.root):
            await self._connection.session_update(session_id, update)
        return schema.LoadSessionResponse(config_options=_list_options(held))

    async def resume_session(self, session_id: str, cwd: str, mcp_servers: Servers = None, **_: Any) -> schema.ResumeSessionResponse:
        held = self._sessions.get(session_id) or await self._open(cwd, session_id, mcp_servers)
        return schema.ResumeSessionResponse(config_options=_list_options(held))

    async def list_sessions(self, cwd: str | None = None, **_: Any) -> schema.ListSessionsResponse:
        return schema.ListSessionsResponse(sessions=await _answer(asyncio.to_thread(self._describe_sessions, cwd)) if cwd else [])

    async def close_session(self, session_id: str, **_: Any) -> schema.CloseSessionResponse:
        held = self._find(session_id)
        del self._sessions[session_id]
        await held.end()
        return schema.CloseSessionResponse()

    async def set_config_option(self, config_id: str, session_id: str, value: str | bool, **_: Any) -> acp.SetSessionConfigOptionResponse:
        held = self._find(session_id)
        await _answer(held.do(lambda: held.choose(config_id, str(value))))
        return acp.SetSessionConfigOptionResponse(config_options=_list_options(held))

    async def prompt(self, session_id: str, prompt: Sequence[Any], **_: Any) -> acp.PromptResponse:
        try:
            return await self._answer_prompt(session_id, prompt)
        finally:
            if self._sent:  # no update may follow the answer
                await asyncio.wait([asyncio.wrap_future(self._sent)])

    async def cancel(self, session_id: str, **_: Any) -> None:
        if held := self._sessions.get(session_id):
            await held.stop()

    async def close(self) -> None:
        """Stop and close all sessions."""
        for session_id in list(self._sessions):
            await self.close_session(session_id)

    @property
    def _connection(self) -> acp.Client:
        assert self._client is not None, "the connection is told before any request"
        return self._client

    def _find(self, session_id: str) -> HeldSession:
        if session_id not in self._sessions:
            raise acp.RequestError(-32602, f"there is no session {session_id!r} here; session/load opens a recorded one")
        return self._sessions[session_id]

    async def _answer_prompt(self, session_id: str, prompt: Sequence[Any]) -> acp.PromptResponse:
        held = self._find(session_id)
        text = _read_prompt(prompt, held.options.root)
        if text.startswith("/"):
            told = await _answer(held.do(lambda: run_line(held.session, text)))
            held.stream.tell(told or "Stopped.")
            return acp.PromptResponse(stop_reason="end_turn" if told else "cancelled")
        had_work = held.session.is_open and held.session.history.commit
        turn = await _answer(held.do(lambda: held.ask(text)))
        if turn is None:
            return acp.PromptResponse(stop_reason="cancelled")
        if turn.end != "interrupted" and held.session.history.commit != had_work:
            await self._offer(held)
        if turn.end in ("model", "sandbox", "repository"):
            raise acp.RequestError(-32603, turn.cause or f"ended: {turn.end}")
        if turn.end != "finished" and turn.cause:
            held.stream.tell(turn.cause)
        return acp.PromptResponse(stop_reason=_STOPS.get(str(turn.end), "end_turn"))

    async def _open(self, cwd: str, wanted: str | None, servers: Servers) -> HeldSession:
        loop = asyncio.get_running_loop()
        session_id, early = "", []  # what is sent before the session has an id

        def send(update: Any) -> None:
            if session_id:
                self._sent = asyncio.run_coroutine_threadsafe(self._connection.session_update(session_id, update), loop)
            else:
                early.append(update)

        own = tuple(map(_read_server, servers or ()))
        held = await _answer(asyncio.to_thread(self._hold, Path(cwd), wanted, own, lambda root: UpdateStream(root, send)))
        session_id = held.session.id
        self._sessions[session_id] = held
        held.stream.permission = Permission(self._connection, session_id, loop)
        for update in early:
            await self._connection.session_update(session_id, update)
        commands = [schema.AvailableCommand(name=name, description=command.what) for name, command in COMMANDS.items()]
        await self._connection.session_update(session_id, helpers.update_available_commands(commands))
        return held

    async def _offer(self, held: HeldSession) -> None:
        """Ask whether the work is to be accepted. It stays in the sandbox when it is not."""
        change = held.session.history.change()
        if change is None:
            return
        diffs = await _answer(asyncio.to_thread(describe_change, held.options.root, *change))
        self._asked += 1
        call = schema.ToolCallUpdate(
            tool_call_id=f"apply-{self._asked}",
            title=f"Apply the changes to {count(len(diffs), 'file')}",
            kind="edit",
            status="pending",
            content=diffs,
        )
        options = [
            schema.PermissionOption(option_id=_APPLY, name="Apply to my files", kind="allow_once"),
            schema.PermissionOption(option_id=_NOT_YET, name="Not yet: keep it in the sandbox", kind="reject_once"),
        ]
        answer = await self._connection.request_permission(session_id=held.session.id, tool_call=call, options=options)
        if getattr(answer.outcome, "option_id", "") == _APPLY:
            told = await _answer(held.do(lambda: accept_work(held.session)))
            held.stream.tell(told or "Nothing was applied.")

    def _describe_sessions(self, cwd: str) -> list[schema.SessionInfo]:
        loops = self._find_loops(Path(cwd))
        described = []
        for loop, turns in list_sessions(loops):
            at = (loops / loop.id / layout.RECORD).stat().st_mtime
            updated = datetime.fromtimestamp(at, UTC).isoformat()
            title = first_line(turns[0].task.instruction, 80) if turns else loop.id
            described.append(schema.SessionInfo(session_id=loop.id, cwd=cwd, title=title, updated_at=updated))
        return described


async def _answer(work: Awaitable[T]) -> T:
    """Wait for something, and turn an error of codagent into one of the protocol."""
    try:
        return await work
    except CodagentError as error:
        raise acp.RequestError(-32602 if isinstance(error, UsageError) else -32603, str(error)) from None


def _list_options(held: HeldSession) -> list[Any]:
    """Describe the options: the model, those of the user's file among others, and the effort."""
    settings = held.options.settings
    models = dict.fromkeys([settings.model, *settings.models, "embedded"])
    efforts = {"": "as the model chooses"} | {str(effort): str(effort) for effort in EFFORTS}
    return [
        _make_select("model", "Model", "model", settings.model, {name: name.rpartition("#")[2] for name in models}),
        _make_select("effort", "Effort", "thought_level", settings.effort or "", efforts),
    ]


def _make_select(option_id: str, name: str, category: Any, value: str, names: dict[str, str]) -> schema.SessionConfigOptionSelect:
    choices = [schema.SessionConfigSelectOption(value=key, name=shown) for key, shown in names.items()]
    return schema.SessionConfigOptionSelect(id=option_id, name=name, category=category, type="select", current_value=value, options=choices)


def _read_server(given: Any) -> McpServer:
    """Return an MCP server that the editor names, which is the person's own."""
    if url := getattr(given, "url", ""):
        return McpServer(given.name, url=url, headers={header.name: header.value for header in given.headers or ()})
    return McpServer(given.name, given.command, tuple(given.args or ()), {variable.name: variable.value for variable in given.env or ()})


def _read_prompt(blocks: Sequence[Any], root: Path) -> str:
    """Write the parts of a prompt as one text. A file of the repository is named as @path, so that it is told with the text."""
    parts = []
    for block in blocks:
        if block.type == "text":
            parts.append(block.text)
        elif block.type == "resource_link":
            parts.append(_name_file(block.uri, root))
        elif block.type == "resource" and isinstance(getattr(block.resource, "text", None), str):
            parts.append(f"\n{_name_file(block.resource.uri, root).removeprefix('@')}:\n```\n{block.resource.text}\n```\n")
    return " ".join(part for part in parts if part).strip()


def _name_file(uri: str, root: Path) -> str:
    parts = urlsplit(uri)
    path = Path(unquote(parts.path))
    return f"@{path.relative_to(root)}" if parts.scheme == "file" and path.is_relative_to(root) else uri
