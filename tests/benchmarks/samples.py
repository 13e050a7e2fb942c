"""The sample repositories of tests/tasks, made real: a copy with git in it."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

TASKS = Path(__file__).parents[1] / "tasks"


@dataclass(frozen=True)
class Sample:
    name: str
    instruction: str
    checks: tuple[str, ...]
    bug: str


def names() -> list[str]:
    return sorted(path.parent.name for path in TASKS.glob("*/task.toml"))


def sample(name: str) -> Sample:
    told = tomllib.loads((TASKS / name / "task.toml").read_text())
    return Sample(name, told["instruction"], tuple(told["checks"]), told["bug"])


def check_out(name: str, folder: Path) -> Path:
    """The sample as a git repository with one commit, in `folder`."""
    shutil.copytree(TASKS / name / "repo", folder)
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    identity = ["-c", "user.name=sample", "-c", "user.email=sample@localhost"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], [*identity, "commit", "-qm", "as it was found"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
