"""Real repositories, with a user's git that knows nothing of this machine, and a sandbox that is a folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from codagent.sandbox.local import LocalSandbox


@dataclass(frozen=True)
class Repository:
    """What a user does in a repository."""

    root: Path

    def git(self, *args: str, data: bytes = b"", check: bool = True) -> str:
        done = subprocess.run(["git", *args], cwd=self.root, input=data, capture_output=True, check=check)
        return os.fsdecode(done.stdout).strip()

    def write(self, path: str, content: str | bytes = "") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def commit(self, message: str = "work") -> str:
        self.git("add", "-A")
        self.git("commit", "-qm", message, "--allow-empty")
        return self.git("rev-parse", "HEAD")


@pytest.fixture(autouse=True)
def _nobodys_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text(
        '[user]\nname = user\nemail = user@localhost\n[init]\ndefaultBranch = main\n[protocol "file"]\nallow = always\n'
    )
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """One commit with `a.txt` and `lib/b.txt`, ignoring `*.log`."""
    made = Repository(tmp_path / "repository")
    made.root.mkdir()
    made.git("init", "-q")
    made.write("a.txt", "one\ntwo\nthree\n")
    made.write("lib/b.txt", "b\n")
    made.write(".gitignore", "*.log\n")
    made.commit("first")
    return made


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[LocalSandbox]:
    folder = tmp_path / "workspace"
    folder.mkdir()
    opened = LocalSandbox(folder)
    yield opened
    opened.close()
