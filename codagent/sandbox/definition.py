"""What a sandbox is made of: its image, its limits, and which protections are off. No engine is asked here."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from codagent.errors import UsageError

Protection = Literal["network", "read_only", "capabilities", "new_privileges"]

WORKSPACE = "/workspace"
ENVIRONMENT = {"HOME": "/tmp", "LANG": "C.UTF-8", "PAGER": "cat", "GIT_PAGER": "cat", "TERM": "dumb"}  # noqa: S108 - a path in the sandbox
REPOSITORY_KEYS = ("image", "dockerfile", "setup", "files")


@dataclass(frozen=True, slots=True)
class Definition:
    """`off` names protections that are not applied. `dockerfile`, `setup` and the `files` that it needs are a repository's own;
    their paths are relative to its root."""

    name: str
    image: str
    user: str = "1000:1000"
    memory_mb: int = 2048
    cpus: float = 2.0
    pids: int = 512
    workspace_mb: int = 1024
    tmp_mb: int = 256
    output_mb: int = 64
    off: tuple[Protection, ...] = ()
    dockerfile: str | None = None
    setup: str | None = None
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", self.user):
            raise UsageError(f"sandbox {self.name}: user must be UID:GID, and neither may be root's")
        files = self.workspace_mb + self.tmp_mb + self.output_mb
        if files >= self.memory_mb:
            raise UsageError(f"sandbox {self.name}: its files live in memory, so memory_mb must be more than the {files} MB for them")
        for protection in self.off:
            _known(protection, get_args(Protection), f"sandbox {self.name}: off")


def sandboxes_dir() -> Path:
    """Where the shipped definitions lie: in the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "sandboxes"
    return shipped if shipped.is_dir() else package.parent / "sandboxes"


def names() -> list[str]:
    return sorted(path.parent.name for path in sandboxes_dir().glob("*/sandbox.toml"))


def definition(name: str) -> Definition:
    _known(name, names(), "sandbox")
    path = sandboxes_dir() / name / "sandbox.toml"
    allowed = [field.name for field in fields(Definition) if field.name not in ("name", *REPOSITORY_KEYS[1:])]
    table = _typed(tomllib.loads(path.read_text()), allowed, f"{name}/sandbox.toml")
    return Definition(name=name, **table)


def for_repository(name: str, table: Mapping[str, Any]) -> Definition:
    """`name` with a repository's `[sandbox]` table on top. Only the image is the repository's to choose, never a limit or a protection."""
    settings = _typed(table, REPOSITORY_KEYS, "codagent.toml [sandbox]")
    if "image" in settings and "dockerfile" in settings:
        raise UsageError("codagent.toml [sandbox]: image and dockerfile exclude each other; keep one")
    return replace(definition(name), **settings)


def _typed(table: Mapping[str, Any], allowed: Collection[str], where: str) -> dict[str, Any]:
    kinds = {field.name: str(field.type) for field in fields(Definition)}
    return {key: _value(value, kinds[_known(key, allowed, where)], f"{where}: {key}") for key, value in table.items()}


def _value(value: object, kind: str, where: str) -> object:
    if kind.startswith("tuple"):
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise UsageError(f"{where} must be a list of texts")
    wanted: tuple[type, ...] = {"int": (int,), "float": (int, float)}.get(kind, (str,))
    if not isinstance(value, wanted) or isinstance(value, bool) or (isinstance(value, int | float) and value <= 0):
        raise UsageError(f"{where} must be {'a text' if wanted == (str,) else 'a number above 0'}")
    return value


def _known(name: str, known: Collection[str], where: str) -> str:
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1)
    raise UsageError(f"{where}: unknown name {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"))
