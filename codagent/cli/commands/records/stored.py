"""A recorded loop, found by a part of its id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from codagent.cli import options
from codagent.errors import RepositoryError
from codagent.repository import git
from codagent.runner.result import change
from codagent.store import layout
from codagent.store.record import load
from codagent.types import Loop


@dataclass(frozen=True, slots=True)
class StoredLoop:
    """A loop on disk."""

    root: Path
    folder: Path
    loop: Loop

    def change(self) -> tuple[str, str]:
        """Return the commits before and after. Raises RepositoryError when nothing was changed."""
        changed = change(self.loop)
        if changed is None:
            raise RepositoryError(f"{self.loop.id} changed nothing")
        return changed


def load_stored(repo: Path, record: Path | None, loop_id: str | None) -> StoredLoop:
    """Load the loop whose id starts or ends with `loop_id`; None means the latest. Raises RecordError when there is no such loop."""
    root = git.find_root(repo)
    loops = options.loops_dir(root, record)
    folder = loops / layout.find_loop(loops, loop_id)
    return StoredLoop(root, folder, load(folder / layout.RECORD))
