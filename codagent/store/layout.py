"""Where a repository's loops, notes and verdicts lie on disk: in a home folder with a .gitignore that keeps it out of git.

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
    """Return the home folder of the repository at `root`.

    `chosen` is a folder that a person has named for records; in it, each repository has a home folder of its own. None: it lies in the
    repository.
    """
    if chosen is None:
        return root / ".codagent"
    repository = root.resolve()
    digest = hashlib.sha256(os.fsencode(repository)).hexdigest()[:8]
    return chosen.resolve() / f"{re.sub('[^A-Za-z0-9_-]', '-', repository.name) or 'root'}-{digest}"


def loops_dir(home: Path) -> Path:
    """Return the folder of all loops in a home folder. It need not exist.

    Raises RepositoryError when one of the two is a link, a file, or another user's folder.
    """
    for folder in (home, home / "loops"):
        check_folder(folder)
    return home / "loops"


def make_loops_dir(home: Path) -> Path:
    """Return the folder of all loops in a home folder. It is made when it is missing, and ignored by git.

    Raises as `loops_dir` does; also UsageError where no folder can be made, and RecordError when the disk is full.
    """
    try:
        make_folder(home)
        make_folder(home / "loops")
        with suppress(FileExistsError), os.fdopen(open_plain(home / ".gitignore", os.O_CREAT | os.O_EXCL | os.O_WRONLY), "w") as ignore:
            ignore.write("*\n")
    except OSError as error:
        kind = RecordError if error.errno in (errno.ENOSPC, errno.EDQUOT) else UsageError
        raise kind(f"nothing can be kept in {home} ({(error.strerror or '').lower()}); name another folder with --record") from None
    return home / "loops"


def notes_path(loops: Path) -> Path:
    """Return the path of the notes of the repository whose loops lie in `loops`."""
    return loops.parent / "notes.md"


def versions_dir(loops: Path) -> Path:
    """Return the folder that holds every version of the notes, those of single loops too."""
    return loops.parent / "notes"


def verdicts_path(loops: Path) -> Path:
    """Return the path of the file that holds what checks did on which tree."""
    return loops.parent / "verdicts.jsonl"


def new_id() -> str:
    """Return an id for a loop or a group of loops."""
    return f"{time.strftime('%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def create_loop(loops: Path) -> str:
    """Make the folder of a new loop, and return the loop's id. Ids sort by time."""
    while True:
        loop_id = new_id()
        try:
            (loops / loop_id).mkdir()
        except FileExistsError:
            continue
        return loop_id


def remove_unrecorded(folder: Path) -> None:
    """Remove a loop's folder when it has no record, because nothing began: no request was made, so its ledger tells nothing."""
    if is_plain_folder(folder) and not os.path.lexists(folder / RECORD):
        (folder / LEDGER).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()


def list_loops(loops: Path) -> list[str]:
    """Return the ids of all loops with a record, the oldest first. A record may be damaged."""
    if not loops.is_dir():
        return []
    ages: dict[str, float] = {}
    for folder in loops.iterdir():
        if is_plain_folder(folder) and is_plain(folder / RECORD):
            with suppress(FileNotFoundError):  # removed meanwhile
                ages[folder.name] = (folder / RECORD).stat().st_mtime
    return sorted(ages, key=lambda loop_id: (ages[loop_id], loop_id))


def find_loop(loops: Path, wanted: str | None) -> str:
    """Return the id that begins or ends with `wanted`; None: the latest. Raises RecordError when there is none, or more than one."""
    ids = list_loops(loops)
    if wanted is None and ids:
        return ids[-1]
    if wanted in ids:
        return wanted
    matching = [loop_id for loop_id in ids if wanted and (loop_id.startswith(wanted) or loop_id.endswith(wanted))]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise RecordError(f"{wanted!r} may be any of {', '.join(matching)}; give more of it")
    if wanted is None:
        raise RecordError(f"nothing is recorded in {loops} yet; `codagent run TASK` records a run")
    raise RecordError(f"there is no session, run or loop {wanted or repr('')} in {loops}; `codagent list` shows those that there are")
