"""What a sandbox is made of: its image, its limits, and which protections are off. No engine is asked here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec.structs import replace

from codagent.errors import UsageError
from codagent.settings.images import suggest_image
from codagent.settings.layers import SandboxSetup
from codagent.settings.toml import Amount, Count, Table, Text, Texts, parse_table, read_toml, suggest

Protection = Literal["network", "read_only", "capabilities", "new_privileges"]

WORKSPACE = "/workspace"
ENVIRONMENT = {"HOME": "/tmp", "LANG": "C.UTF-8", "PAGER": "cat", "GIT_PAGER": "cat", "TERM": "dumb"}  # noqa: S108 - a path in the sandbox


class Definition(Table, frozen=True):
    """A sandbox by its name. `dockerfile`, `setup` and the `files` that `setup` needs are a repository's own; None and (): it has none."""

    name: Text
    image: Text
    user: Text = "1000:1000"
    memory_mb: Count = 2048
    cpus: Amount = 2.0
    pids: Count = 512
    workspace_mb: Count = 1024
    tmp_mb: Count = 256
    output_mb: Count = 64
    off: tuple[Protection, ...] = ()  # protections that are not applied
    dockerfile: Text | None = None  # paths are relative to the repository's root
    setup: Text | None = None
    files: Texts = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", self.user):
            raise UsageError(f"sandbox {self.name}: user must be UID:GID, and neither may be root's")
        files = self.workspace_mb + self.tmp_mb + self.output_mb
        if files >= self.memory_mb:
            raise UsageError(f"sandbox {self.name}: its files live in memory, so memory_mb must be more than the {files} MB for them")


def sandboxes_dir() -> Path:
    """Where the shipped definitions lie: in the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "sandboxes"
    return shipped if shipped.is_dir() else package.parent / "sandboxes"


def list_sandboxes() -> list[str]:
    """List the shipped sandboxes."""
    return sorted(path.parent.name for path in sandboxes_dir().glob("*/sandbox.toml"))


def load_definition(name: str) -> Definition:
    """Read a shipped definition. Raises UsageError when no sandbox has this name, or when its file does not fit."""
    if name not in list_sandboxes():
        image = suggest_image(name)
        hint = f"write in codagent.toml: {image}" if image else suggest(name, tuple(list_sandboxes()))
        raise UsageError(f"unknown sandbox {name!r}; {hint}")
    path = sandboxes_dir() / name / "sandbox.toml"
    return parse_table({"name": name, **read_toml(path)}, Definition, where=path)


def load_for_repository(name: str, table: Mapping[str, Any]) -> Definition:
    """Read `name` with a repository's [sandbox] table on top, which may choose an image and what is in it, never a limit or a protection.

    Raises UsageError for any other key, and for an image beside a dockerfile.
    """
    setup = parse_table(table, SandboxSetup, where="codagent.toml [sandbox]")
    if setup.image and setup.dockerfile:
        raise UsageError("codagent.toml [sandbox]: image and dockerfile exclude each other; keep one")
    return replace(load_definition(name), **setup.to_dict())
