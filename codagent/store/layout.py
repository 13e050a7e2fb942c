"""Where a repository's loops lie on disk: `.codagent/loops/<id>/`, kept out of git by a .gitignore of its own."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from codagent.errors import RecordError

RECORD, LEDGER, LOCK = "record.jsonl", "ledger.jsonl", "lock"


def loops_dir(root: Path, chosen: Path | None = None) -> Path:
    """The folder of all loops; made when it is missing."""
    if chosen is None:
        home = root / ".codagent"
        home.mkdir(exist_ok=True)
        ignore = home / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        chosen = home / "loops"
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen


def notes_file(loops: Path) -> Path:
    """The notes of the repository whose loops lie in `loops`."""
    return loops.parent / "notes.md"


def notes_dir(loops: Path) -> Path:
    """Every version that any notes ever had."""
    return loops.parent / "notes"


def verdicts_file(loops: Path) -> Path:
    """What the gates said of which tree."""
    return loops.parent / "verdicts.jsonl"


def new_loop(loops: Path) -> str:
    """A fresh id, sorted by time, with its folder made."""
    while True:
        loop_id = f"{time.strftime('%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        try:
            (loops / loop_id).mkdir()
        except FileExistsError:
            continue
        return loop_id


def forget_empty(folder: Path) -> None:
    """Remove a loop's folder when the loop did not get as far as a record."""
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def all_loops(loops: Path) -> list[str]:
    """Ids with a record, the oldest first."""
    return [path.parent.name for path in sorted(loops.glob(f"*/{RECORD}"), key=lambda path: path.stat().st_mtime)]


def find_loop(loops: Path, wanted: str | None) -> str:
    """The id that `wanted` begins or ends, the latest for None. RecordError when there is none, or more than one."""
    ids = all_loops(loops)
    if wanted is None and ids:
        return ids[-1]
    if wanted in ids:
        return wanted
    found = [loop_id for loop_id in ids if wanted and (loop_id.startswith(wanted) or loop_id.endswith(wanted))]
    if len(found) == 1:
        return found[0]
    if found:
        raise RecordError(f"{wanted!r} may be any of {', '.join(found)}; give more of it")
    raise RecordError(f"there is no loop {wanted or ''} in {loops}; `codagent list` shows those that there are")
