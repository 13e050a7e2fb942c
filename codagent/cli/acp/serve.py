"""`codagent acp`: sessions for an editor."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codagent.cli import options, user_files
from codagent.cli.commands.allow import allow_servers
from codagent.cli.commands.session import WAIT_S
from codagent.cli.terminal.output import warn
from codagent.errors import UsageError
from codagent.repository import git

if TYPE_CHECKING:
    from collections.abc import Callable

    from codagent.cli.acp.agent import EditorAgent
    from codagent.cli.acp.held_session import HeldSession
    from codagent.cli.acp.update_stream import UpdateStream
    from codagent.session.opening import SessionOptions
    from codagent.settings.settings import McpServer, Settings

_MAX_LINE_BYTES = 50 << 20  # of a message of the editor


@options.takes_settings(*options.OF_EDITOR)
def acp(
    *,
    flags: options.Flags,
    seed: options.Seed = None,
) -> None:
    """Serve sessions to an editor over the Agent Client Protocol.

    The editor starts this command and says which repository it is for. The limits hold for each turn.
    """
    if not (_is_pipe(0) and _is_pipe(1)):
        raise UsageError("an editor starts this command and talks to it over pipes; `codagent` holds a session on a terminal")
    try:
        from codagent.cli.acp.agent import EditorAgent
    except ModuleNotFoundError as error:
        if error.name != "acp":
            raise
        raise UsageError("the Agent Client Protocol needs one more package; install it with: pip install 'codagent[acp]'") from None

    def hold_session(
        cwd: Path, wanted: str | None, servers: tuple[McpServer, ...], make_stream: Callable[[Path], UpdateStream]
    ) -> HeldSession:
        from codagent.cli.acp.held_session import hold

        root = git.find_root(cwd)
        settings = allow_servers(root, options.read_settings(root, wait_s=WAIT_S, **flags))
        settings = replace(settings, servers=(*settings.servers, *servers))
        return hold(_prepare(root, settings, make_stream(root), seed, flags), options.person(warn, flags), wanted)

    asyncio.run(_serve(EditorAgent(hold_session, lambda cwd: options.loops_dir(git.find_root(cwd), None))))


def _is_pipe(descriptor: int) -> bool:
    """Return whether a descriptor is a pipe or a socket. What is closed is none."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _prepare(root: Path, settings: Settings, stream: UpdateStream, seed: int | None, flags: dict[str, Any]) -> SessionOptions:
    from codagent.session.opening import SessionOptions

    loops = options.loops_dir(root, None, make=True)
    access, own = replace(options.access(settings.model), ask_call=stream.ask_call), user_files.read_own()
    read_limits = partial(options.read_limits, root, flags, wait_s=WAIT_S)
    return SessionOptions(root, loops, settings, access, stream, stream.on_answer, seed, own, read_limits)


async def _serve(agent: EditorAgent) -> None:
    """Answer until the editor closes the connection. Nothing else may write to standard output, so that goes to standard error."""
    import acp as protocol
    from acp.stdio import stdio_streams

    sys.stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    reader, writer = await stdio_streams(limit=_MAX_LINE_BYTES)
    sys.stdout = sys.stderr
    try:
        await protocol.run_agent(agent, writer, reader, use_unstable_protocol=True)  # type: ignore[arg-type]
    finally:
        await agent.close()
