"""The notes of a repository or a loop on disk: read before each attempt, because a person may edit the file, and replaced as a whole."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from codagent.files import is_plain, make_folder, open_plain, read_plain
from codagent.redaction import hide_secrets
from codagent.types import Episode

PERSON = "person"


class NotesFile:
    """The file `path`, and the folder `versions` with every text that it ever held, one file each: `0007-<who>.md`."""

    def __init__(self, path: Path, versions: Path, *, who: str) -> None:
        """`who` writes: the id of a loop, or PERSON."""
        self.path, self._versions, self._who = path, versions, who
        self._seen: str | None = None

    def text(self) -> str:
        """Return the notes without spaces around them; "" when there is no file."""
        try:
            return _read_text(self.path)
        except FileNotFoundError:
            return ""

    def author(self) -> str:
        """Return who wrote the text of the file: the id of a loop, or PERSON."""
        files = self._files()
        return files[-1].stem.partition("-")[2] if files and _read_text(files[-1]) == self.text() else PERSON

    def read(self, ours: str) -> str:
        """Return the notes as they are before an attempt.

        `ours` is what the loop left in the file. A text that differs from it is a person's edit: it wins and is kept as a version.
        """
        self._seen = text = self.text()
        if text != ours.strip():
            self._keep_version(text, PERSON)
        return text

    def write(self, text: str, *, who: str | None = None) -> None:
        """Replace the text of the file. A crash leaves the old text or the new one. `who` None: the writer of this object.

        Raises RepositoryError when something else than a file of notes is there.
        """
        self._keep_version(text, who or self._who)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(self.path):
            _read_text(self.path)  # raises when it is no file of notes
        _write_new(self.path.with_name(f".{self.path.name}.{os.getpid()}"), text).replace(self.path)

    def keep(self, episode: Episode) -> None:
        """Write the notes of a notes episode that passed. When a person has edited the file meanwhile, they are kept as a version only."""
        if episode.notes_after is None or not (episode.outcome and episode.outcome.passed):
            return
        if self._seen in (None, self.text()):
            self.write(episode.notes_after)
        else:
            self._keep_version(episode.notes_after, self._who)

    def settle(self, ours: str, before: str) -> None:
        """Bring the file to what the record says, when a loop begins or goes on.

        `ours` is what the record holds and `before` what it held one rewrite earlier. `ours` is written when the file is missing or a
        crash left it at `before`. Any other text is a person's edit and stays.
        """
        text = self.text()
        if text != ours.strip() and (not text or (text == before.strip() and not self._was_put_back(text, ours))):
            self.write(ours)
        self._seen = ours.strip()

    def _was_put_back(self, text: str, ours: str) -> bool:
        """Return whether a person went back to `text` after `ours` had been written."""
        files = self._files()
        written = set(map(_read_text, self._files(self._who)))
        return ours.strip() in written and files[-1].name.endswith(f"-{PERSON}.md") and _read_text(files[-1]) == text

    def _keep_version(self, text: str, who: str) -> None:
        """Add a version, unless the latest one has the same text."""
        make_folder(self._versions)
        files = self._files()
        if files and _read_text(files[-1]) == text.strip():
            return
        number = int(files[-1].name[:4]) + 1 if files else 1
        beside = _write_new(self._versions / f".{os.getpid()}-{threading.get_ident()}", text)
        while beside.exists():
            try:  # a link, because it fails where a version of that number is, and no reader ever sees half a file
                (self._versions / f"{number:04}-{who}.md").hardlink_to(beside)
                beside.unlink()
            except FileExistsError:
                number += 1

    def _files(self, who: str = "*") -> list[Path]:
        """Return the files of all versions, or of those that `who` wrote, the oldest first."""
        return sorted(path for path in self._versions.glob(f"[0-9][0-9][0-9][0-9]-{who}.md") if is_plain(path))


def _write_new(file: Path, text: str) -> Path:
    """Write a text into a file that is made for it, and return the file."""
    file.unlink(missing_ok=True)  # a killed process left it, or it is a link
    with os.fdopen(open_plain(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY), "w", encoding="utf-8", errors="replace") as opened:
        opened.write(f"{hide_secrets(text).strip()}\n")
    return file


def _read_text(file: Path) -> str:
    return read_plain(file).decode(errors="replace").strip()
