"""Hooks: a person's own commands that run on this machine before and after what the agent does."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from codagent.errors import RepositoryError
from codagent.files import read_plain
from codagent.settings.toml import Table, Text

HookEvent = Literal["SessionStart", "PreToolUse", "PostToolUse", "SessionEnd"]


class Hook(Table, frozen=True):
    """One [[hooks]] table."""

    event: HookEvent
    command: Text  # for bash, in the repository's root
    tools: Text = ".*"  # a regular expression that fits the whole name of a tool
    timeout: Annotated[float, Meta(gt=0, le=3600, description="seconds, at most an hour")] = 60.0


class RepositoryHooks:
    """The hooks that a repository brings. A person allows exactly these, with the files of the repository that they name."""

    def __init__(self, root: Path, hooks: Sequence[Hook]) -> None:
        self.root, self.hooks = root, tuple(hooks)

    @property
    def digest(self) -> str:
        """A hash of the commands, of the files of the repository that they name, and of where the repository is."""
        tables = [[hook.event, hook.command, hook.tools, hook.timeout] for hook in self.hooks]
        files = {word: self._hash(word) for hook in self.hooks for word in _words(hook.command)}
        return hashlib.sha256(json.dumps(["hooks", str(self.root.resolve()), tables, files], sort_keys=True).encode()).hexdigest()

    def _hash(self, word: str) -> str:
        """Return a hash of a file that a command names; "": there is none."""
        with suppress(OSError, RepositoryError, ValueError):
            return hashlib.sha256(read_plain((self.root / word).resolve())).hexdigest()
        return ""


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()
