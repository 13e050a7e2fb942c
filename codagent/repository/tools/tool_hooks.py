"""Runs hooks around tool calls, with the JSON on standard input that scripts for Claude Code read.

A hook that fails in whatever way refuses the call: a guard that does not work must not let things through.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent.settings.hooks import Hook, HookEvent
from codagent.store.ledger import Spent
from codagent.text import parse_json, sanitize
from codagent.types import ToolCall

_NAMES = {"bash": "Bash", "read": "Read", "edit": "Edit", "write": "Write", "define": "Edit", "search": "Grep"}  # as scripts know them
_REFUSED = 2  # the exit code by which a hook refuses, with the reason on standard error
_MAX_REASON = 2000  # characters


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of one loop."""

    hooks: Sequence[Hook] = ()
    root: Path = Path()
    session_id: str = ""
    transcript: Path = Path()  # the record

    def answer(self, call: ToolCall, do: Callable[[], str]) -> str:
        """Answer a call with `do`, unless a hook refuses it. What a later hook says is added to the answer."""
        if not self.hooks:
            return do()
        facts = {"tool_name": _NAMES.get(call.name, call.name), "tool_input": _input_of(call)}
        if reason := self._run("PreToolUse", call.name, facts):
            return f"error: a hook on the person's machine refused this call: {reason}"
        text = do()
        if reason := self._run("PostToolUse", call.name, {**facts, "tool_response": text}):
            return f"{text}\n\nA hook on the person's machine says: {reason}"
        return text

    def start(self, *, resumed: bool = False) -> None:
        """Run the hooks of the start. Raises UsageError when one of them refuses or fails."""
        if reason := self._run("SessionStart", "", {"source": "resume" if resumed else "startup"}):
            raise UsageError(f"a hook refused to begin: {reason}")

    @contextmanager
    def around(self, spent: Callable[[], Spent], say: Callable[[str], None], *, resumed: bool) -> Iterator[None]:
        """Run the hooks of the start, and those of the end after the block, which is a session. `say` hears what went wrong then.

        A block that raises has no end. Raises as `start` does.
        """
        self.start(resumed=resumed)
        yield
        if trouble := self.end({"reason": "closed", "tokens": spent().tokens, "usd": spent().cost}):
            say(f"a hook at the end failed: {trouble}")

    def end(self, facts: Mapping[str, Any]) -> str:
        """Run the hooks of the end, which also get `facts`. Returns what went wrong; "": nothing."""
        return self._run("SessionEnd", "", facts)

    def _run(self, event: HookEvent, tool: str, facts: Mapping[str, Any]) -> str:
        """Run the hooks of an event until one refuses. Returns its reason; "": all agree."""
        data = {
            "session_id": self.session_id,
            "transcript_path": str(self.transcript),
            "cwd": str(self.root),
            "hook_event_name": event,
            **facts,
        }
        names = {tool, _NAMES.get(tool, tool)}
        for hook in self.hooks:
            fits = hook.event == event and (not tool or any(_fits(hook.tools, name) for name in names))
            if fits and (reason := _execute(hook, self.root, json.dumps(data))):
                return sanitize(reason)[:_MAX_REASON]
        return ""


def _fits(pattern: str, name: str) -> bool:
    try:
        return bool(re.fullmatch(pattern, name))
    except re.error:
        return True  # a pattern that cannot be read guards everything


def _execute(hook: Hook, root: Path, data: str) -> str:
    """Run a hook. Returns why it refuses; "": it agrees."""
    command = ["bash", "-c", hook.command]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=root, start_new_session=True, **pipes) as running:  # type: ignore[call-overload]
        try:
            out, err = running.communicate(data.encode(), timeout=hook.timeout)
        except subprocess.TimeoutExpired:
            return f"`{hook.command}` took longer than {hook.timeout:g} s"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
    said = err.decode(errors="replace").strip()
    if running.returncode == _REFUSED:
        return said or f"`{hook.command}` gives no reason"
    if running.returncode:
        return f"`{hook.command}` failed with exit {running.returncode}{said and f': {said}'}"
    return _refusal(out.decode(errors="replace"), hook)


def _refusal(out: str, hook: Hook) -> str:
    """Read the decision that a hook may print as JSON. Returns the reason of a refusal; "": there is none."""
    if not out.lstrip().startswith("{"):
        return ""
    try:
        decision = parse_json(out)
    except ValueError:
        return f"`{hook.command}` printed JSON that cannot be read"
    own = decision.get("hookSpecificOutput")
    own = own if isinstance(own, dict) else {}
    if own.get("permissionDecision", "allow") != "allow":  # nobody is there to be asked
        return str(own.get("permissionDecisionReason") or f"`{hook.command}` does not allow it")
    if decision.get("decision", "approve") != "approve" or decision.get("continue") is False:
        return str(decision.get("reason") or decision.get("stopReason") or f"`{hook.command}` does not allow it")
    return ""


def _input_of(call: ToolCall) -> Any:
    """Return the arguments of a call; a path also under the name that scripts know."""
    try:
        arguments = parse_json(call.arguments)
    except ValueError:
        return {"raw": call.arguments}
    return {**arguments, "file_path": arguments["path"]} if isinstance(arguments, dict) and "path" in arguments else arguments
