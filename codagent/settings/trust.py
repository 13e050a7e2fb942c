"""What a person allows once for a repository: what it brings that would run on this machine, and that commands run here at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codagent.errors import RepositoryError
from codagent.files import read_plain


@dataclass(frozen=True, slots=True)
class Brought:
    """Hooks or MCP servers of a repository."""

    kind: str  # of what is brought, for a person: "hooks"
    root: Path  # the repository
    tables: Sequence[Any]  # what is stated, as JSON can hold it
    words: Sequence[str]  # of the commands; those that are files of the repository are allowed with their content
    lines: Sequence[str]  # that describe it to a person

    @property
    def digest(self) -> str:
        """A hash of all that is stated, of the files of the repository that are named, and of where the repository is."""
        files = {word: self._hash(word) for word in self.words}
        return hashlib.sha256(json.dumps([self.kind, str(self.root.resolve()), self.tables, files], sort_keys=True).encode()).hexdigest()

    def _hash(self, word: str) -> str:
        """Return a hash of a file that a command names; "": there is none."""
        with suppress(OSError, RepositoryError, ValueError):
            return hashlib.sha256(read_plain((self.root / word).resolve())).hexdigest()
        return ""


@dataclass(frozen=True, slots=True)
class LocalSandboxUse:
    """That commands for a repository run on this machine, without isolation."""

    root: Path

    @property
    def digest(self) -> str:
        """A hash of where the repository is."""
        return hashlib.sha256(json.dumps(["local sandbox", str(self.root.resolve())]).encode()).hexdigest()
