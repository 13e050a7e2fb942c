"""Reports code that reads the tests, or the history that has them, while it is tested: it could answer with what they expect."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

_STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn")
_HISTORY = re.compile(r"(^|[\s/'\"])\.?git([\s/'\"]|$)")
# What reads files of tests for everybody: imports, tracebacks, and the runner.
_READERS = ("<frozen importlib", f"{os.sep}linecache.py", f"{os.sep}_pytest{os.sep}")


class Reading:
    """Watches what is opened, and what the programs are told that are started."""

    def __init__(self, report: Callable[[str, str], None], workspace: str, tests: str) -> None:
        """`tests` is a pattern for the paths of tests. `report` takes a path of the workspace and what is suspicious about it."""
        self._report, self._workspace, self._tests = report, os.path.realpath(workspace), re.compile(tests, re.IGNORECASE)
        self._files = dict(self._find_files())
        self._names = re.compile("|".join(map(re.escape, sorted({Path(name).name for name in self._files.values()}))) or "(?!)")
        self._busy = False
        self.times: dict[str, int] = {}  # how often each file of the tests was opened, by whomever in this process

    def install(self) -> None:
        """Start watching. It cannot be switched off."""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if (event == "open" or event in _STARTS) and not self._busy:
            self._busy = True
            try:
                read = self._read_by_open(arguments[0]) if event == "open" else self._read_by_program(repr(arguments[:2]))
                if event == "open" and read:
                    self.times[read] = self.times.get(read, 0) + 1
                if read and (code := self._find_code(sys._getframe(1))):
                    self._report(code, f"reads {read} while it is tested")
            finally:
                self._busy = False

    def _read_by_open(self, path: object) -> str:
        """Return what is read when `path` is opened; "" when it is nothing of the tests."""
        if not isinstance(path, (str, bytes)):
            return ""
        text = os.path.realpath(os.fsdecode(path))
        if text.startswith(f"{self._workspace}{os.sep}.git{os.sep}"):
            return "the history"
        try:
            return self._files.get(_identify(Path(text)), "")
        except (OSError, ValueError):
            return ""

    def _read_by_program(self, words: str) -> str:
        """Return what a program that is started with `words` reads."""
        named = self._names.search(words)
        return named[0] if named else "the history" if _HISTORY.search(words) else ""

    def _find_code(self, frame: FrameType | None) -> str:
        """Return the file of the workspace that acts; "" when it is a test, or none, or when what acts reads for everybody."""
        while frame is not None:
            name = frame.f_code.co_filename
            if any(reader in name for reader in _READERS):
                return ""
            if name.startswith(self._workspace + os.sep):
                path = name[len(self._workspace) + 1 :]
                return "" if self._tests.search(path) else path
            frame = frame.f_back
        return ""

    def _find_files(self) -> Iterator[tuple[tuple[int, int], str]]:
        for folder, folders, files in os.walk(self._workspace):
            folders[:] = [name for name in folders if name not in (".git", "node_modules")]
            for file in (Path(folder, name) for name in files if name.endswith(".py")):
                path = str(file)[len(self._workspace) + 1 :]
                if self._tests.search(path) and file.is_file():
                    yield _identify(file), path


def _identify(file: Path) -> tuple[int, int]:
    """Return what a file is, by whatever name."""
    status = file.stat()
    return status.st_dev, status.st_ino
