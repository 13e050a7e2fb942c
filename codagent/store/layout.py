"""Where a repository's loops, notes and verdicts lie on disk: in a home folder, kept out of git by a .gitignore of its own.

HOME/loops/<id>/record.jsonl   HOME/notes.md   HOME/notes/   HOME/verdicts.jsonl
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path

from codagent.errors import RecordError, UsageError
from codagent.files import check_folder, is_plain, is_plain_folder, make_folder, open_plain

RECORD, LEDGER, LOCK = "record.jsonl", "ledger.jsonl", "lock"


def home_dir(root: Path, chosen: Path | None = None) -> Path:
    """The home folder of the repository at `root`. In a folder that a person has `chosen` each repository has one of its own."""
    if chosen is None:
        return root / ".codagent"
    place = root.resolve()
    digest = hashlib.sha256(os.fsencode(place)).hexdigest()[:8]
    return chosen.resolve() / f"{re.sub('[^A-Za-z0-9_-]', '-', place.name) or 'root'}-{digest}"


def loops_dir(home: Path) -> Path:
    """The folder of all loops in a home folder, which need not be there. RepositoryError when a link or a file stands in its place."""
    for folder in (home, home / "loops"):
        check_folder(folder)
    return home / "loops"


def make_loops_dir(home: Path) -> Path:
    """The folder of all loops, made when it is missing, and ignored by git."""
    try:
        make_folder(home)
        make_folder(home / "loops")
        with suppress(FileExistsError), os.fdopen(open_plain(home / ".gitignore", os.O_CREAT | os.O_EXCL | os.O_WRONLY), "w") as ignore:
            ignore.write("*\n")
    except OSError as error:
        kind = RecordError if error.errno in (errno.ENOSPC, errno.EDQUOT) else UsageError
        raise kind(f"nothing can be kept in {home} ({(error.strerror or '').lower()}); name another folder with --record") from None
    return home / "loops"


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
    if is_plain_folder(folder) and not any(folder.iterdir()):
        folder.rmdir()


def all_loops(loops: Path) -> list[str]:
    """Ids with a record, the oldest first."""
    if not loops.is_dir():
        return []
    records = [folder / RECORD for folder in loops.iterdir() if is_plain_folder(folder) and is_plain(folder / RECORD)]
    return [path.parent.name for path in sorted(records, key=lambda path: (path.stat().st_mtime, path.parent.name))]


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
