"""The set-ups of repositories that this user has allowed. Nothing that a repository sets up runs before it is allowed.

A set-up is known by its content. The list is in the user's own folder, never in a repository.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from codagent.errors import UsageError
from codagent.repository import git
from codagent.sandbox.images.setup import Setup, read_setup

if TYPE_CHECKING:
    from codagent.sandbox.definition import Definition

_MAX_BYTES = 1 << 20  # more is not a file of ours


class Trusted(Protocol):
    """What is allowed by its content: a set-up, or the hooks of a repository."""

    @property
    def digest(self) -> str: ...


class AllowedSetups:
    """The set-ups that a user has allowed."""

    def __init__(self, file: Path | None, ask: Callable[[Setup], bool] | None = None) -> None:
        """Use the list in `file`; None means that nothing is remembered.

        `ask` shows a set-up and asks the person; None means that nobody can be asked.
        """
        self._file, self._ask = file, ask

    def __call__(self, root: Path, wanted: Definition) -> Setup | None:
        """Return what the repository at `root` sets up for a sandbox. Returns None when it sets up nothing.

        Raises UsageError when the user does not allow it.
        """
        setup = read_setup_of(root, wanted)
        if setup is not None and not self.holds(setup):
            if self._ask is None:
                raise UsageError(
                    "what this repository sets up for its sandbox was never allowed by you; `codagent sandbox allow` shows it and allows it"
                    " (with the task file's name, where that brings it)"
                )
            if not self._ask(setup):
                raise UsageError("what this repository sets up for its sandbox was not allowed; nothing was run")
            self.add(setup)
        return setup

    def holds(self, setup: Trusted) -> bool:
        """Return whether exactly this was allowed."""
        return setup.digest in self._digests()

    def add(self, setup: Trusted) -> None:
        """Remember it as allowed. Raises UsageError when the file cannot be written."""
        if self._file is None:
            return
        digests = [*self._digests(), setup.digest]
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self._file.parent, prefix="allowed-", delete=False) as written:
                json.dump({"setups": sorted(set(digests))}, written, indent=1)
            Path(written.name).replace(self._file)
        except OSError as error:
            raise UsageError(f"{self._file} cannot be written, so nothing can be allowed: {error.strerror}") from None

    def _digests(self) -> list[str]:
        """Return the digests in the file. A missing or damaged file has none."""
        if self._file is None:
            return []
        try:
            descriptor = os.open(self._file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                data = file.read(_MAX_BYTES) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
            digests = json.loads(data)["setups"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return []
        return digests if isinstance(digests, list) and all(isinstance(digest, str) for digest in digests) else []


NOTHING_ALLOWED = AllowedSetups(None)


def read_setup_of(root: Path, wanted: Definition) -> Setup | None:
    """Return what the repository at `root` sets up, allowed or not. Returns None when it sets up nothing."""
    if wanted.dockerfile is None and wanted.setup is None:
        return None
    return read_setup(wanted, root, git.list_tracked(root))


def allowed_file(variables: Mapping[str, str]) -> Path:
    """Return the file of the allowed set-ups. `variables` are the user's environment variables."""
    return Path(variables.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "codagent" / "allowed.json"
