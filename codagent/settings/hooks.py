"""Hooks: a person's own commands that run on this machine before and after what the agent does."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from codagent.settings.toml import Table, Text
from codagent.settings.trust import Brought

HookEvent = Literal["SessionStart", "PreToolUse", "PostToolUse", "SessionEnd"]


class Hook(Table, frozen=True):
    """One [[hooks]] table."""

    event: HookEvent
    command: Text  # for bash, in the repository's root
    tools: Text = ".*"  # a regular expression that fits the whole name of a tool
    timeout: Annotated[float, Meta(gt=0, le=3600, description="seconds, at most an hour")] = 60.0


def describe_brought(root: Path, hooks: Sequence[Hook]) -> Brought:
    """Describe the hooks that a repository brings, to be allowed by a person."""
    tables = [[hook.event, hook.command, hook.tools, hook.timeout] for hook in hooks]
    words = [word for hook in hooks for word in _words(hook.command)]
    return Brought("hooks", root, tables, words, [f"{hook.event} {hook.tools}: {hook.command}" for hook in hooks])


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()
