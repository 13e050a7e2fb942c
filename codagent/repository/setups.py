"""The set-ups of repositories that this user has allowed. Nothing that a repository sets up runs before it is allowed.

A set-up is known by its content. The list is in the user's own folder, never in a repository.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from codagent.errors import UsageError
from codagent.files import expand_user, read_table, write_table
from codagent.repository import git
from codagent.sandbox.images.setup import Setup, read_setup

if TYPE_CHECKING:
    from codagent.sandbox.definition import Definition


class Trusted(Protocol):
    """What is allowed by its digest: a set-up, the hooks of a repository, or commands on this machine."""

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
        try:
            write_table(self._file, {"setups": sorted({*self._digests(), setup.digest})})
        except UsageError as error:
            raise UsageError(f"{error}, so nothing can be allowed") from None

    def _digests(self) -> list[str]:
        """Return the digests in the file. A missing or damaged file has none."""
        digests = read_table(self._file.resolve()).get("setups") if self._file else []
        return digests if isinstance(digests, list) and all(isinstance(digest, str) for digest in digests) else []


NOTHING_ALLOWED = AllowedSetups(None)


def read_setup_of(root: Path, wanted: Definition) -> Setup | None:
    """Return what the repository at `root` sets up, allowed or not. Returns None when it sets up nothing."""
    if wanted.dockerfile is None and wanted.setup is None:
        return None
    return read_setup(wanted, root, git.list_tracked(root))


def allowed_file(variables: Mapping[str, str]) -> Path:
    """Return the file of the allowed set-ups. `variables` are the user's environment variables."""
    return Path(variables.get("XDG_STATE_HOME") or expand_user("~/.local/state")) / "codagent" / "allowed.json"
