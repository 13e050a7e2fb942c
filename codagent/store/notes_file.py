"""The notes file on disk: read before each attempt, since a person may edit it; replaced whole; every version kept beside it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from codagent.files import is_plain, make_folder, open_plain, read_plain
from codagent.types import Episode

PERSON = "person"


class Notebook:
    """`path` is the file, `versions` the folder of all that it ever held, one file each: `0007-<who>.md`."""

    def __init__(self, path: Path, versions: Path, *, who: str) -> None:
        self.path, self._versions, self._who = path, versions, who
        self._seen: str | None = None

    def text(self) -> str:
        try:
            return _text(self.path)
        except FileNotFoundError:
            return ""

    def read(self, ours: str) -> str:
        """The notes as they stand. What differs from `ours`, which the loop left, is a person's edit; it wins and is kept as a version."""
        self._seen = text = self.text()
        if text != ours.strip():
            self._keep(text, PERSON)
        return text

    def write(self, text: str, *, who: str | None = None) -> None:
        """Replace the file; a crash leaves the old one or the new one."""
        self._keep(text, who or self._who)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(self.path):
            _text(self.path)  # RepositoryError for what is not a file of notes
        _written(self.path.with_name(f".{self.path.name}.{os.getpid()}"), text).replace(self.path)

    def keep(self, episode: Episode) -> None:
        """Write down the notes that an episode wrote, unless a person has edited the file meanwhile."""
        if episode.notes_after is None or not (episode.outcome and episode.outcome.passed):
            return
        if self._seen in (None, self.text()):
            self.write(episode.notes_after)
        else:
            self._keep(episode.notes_after, self._who)

    def settle(self, ours: str, before: str) -> None:
        """As a loop begins or goes on: write `ours`, as its record has them, where the file is not there or a crash left it at `before`."""
        text = self.text()
        if text != ours.strip() and (not text or (text == before.strip() and not self._put_back(text, ours))):
            self.write(ours)
        self._seen = ours.strip()

    def _put_back(self, text: str, ours: str) -> bool:
        """Whether `text` is what a person went back to when `ours` had been written."""
        files = self._files()
        written = set(map(_text, self._files(self._who)))
        return ours.strip() in written and files[-1].name.endswith(f"-{PERSON}.md") and _text(files[-1]) == text

    def _keep(self, text: str, who: str) -> None:
        make_folder(self._versions)
        files = self._files()
        if files and _text(files[-1]) == text.strip():
            return
        number = int(files[-1].name[:4]) + 1 if files else 1
        beside = _written(self._versions / f".{os.getpid()}-{threading.get_ident()}", text)
        while beside.exists():
            try:
                (self._versions / f"{number:04}-{who}.md").hardlink_to(beside)
                beside.unlink()
            except FileExistsError:
                number += 1

    def _files(self, who: str = "*") -> list[Path]:
        return sorted(path for path in self._versions.glob(f"[0-9][0-9][0-9][0-9]-{who}.md") if is_plain(path))


def _written(file: Path, text: str) -> Path:
    file.unlink(missing_ok=True)  # what a killed process left, or a link
    with os.fdopen(open_plain(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY), "w", encoding="utf-8", errors="replace") as opened:
        opened.write(f"{text.strip()}\n")
    return file


def _text(file: Path) -> str:
    return read_plain(file).decode(errors="replace").strip()
