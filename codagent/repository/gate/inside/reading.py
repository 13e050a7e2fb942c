"""Reports code that reads, while it is tested, the tests, the history that has them, or a data file with what tests expect."""

from __future__ import annotations

import itertools
import linecache
import os
import re
import sys
from collections.abc import Callable, Iterator
from inspect import CO_VARARGS, CO_VARKEYWORDS
from os import fsdecode
from os.path import realpath
from pathlib import Path
from types import FrameType
from typing import Any

from .audit import Audit, Workspace, get_frame, list_frames

_STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn")
_HISTORY = re.compile(r"(^|[\s/'\"])\.?git([\s/'\"]|$)")
_PYTEST = f"{os.sep}_pytest{os.sep}"
# What reads files of tests for everybody: imports, tracebacks, warnings, and the runner.
_READERS = ("<frozen importlib", f"{os.sep}traceback.py", f"{os.sep}warnings.py", _PYTEST)
_LITERAL = re.compile(r"""'[^'\n]*'|"[^"\n]*"|\b\d[\w.]*""")
_EXPECTED = re.compile(r"expect|golden|snapshot|answer", re.IGNORECASE)

Report = Callable[[str, str], None]  # a path of the workspace, and what its code does


class Reading:
    """Watches which tests are opened, and what the programs are told that are started."""

    def __init__(self, report: Report, report_look: Report, workspace: Workspace) -> None:
        """`report` says that a check fails, `report_look` that a person has to look."""
        self._report, self._report_look, self._workspace = report, report_look, workspace
        tests = [(path, file) for path, file in workspace.list_modules() if workspace.is_test(path)]
        self._files = {_identify(file): path for path, file in tests}
        self._names = re.compile("|".join(map(re.escape, sorted({file.name for _, file in tests}))) or "(?!)")
        self.times: dict[str, int] = {}  # how often each file of the tests was opened, by whomever in this process

    def watch(self, audit: Audit) -> None:
        """Watch from now on."""
        audit.listen(("open",), self._note_open)
        audit.listen(_STARTS, self._note_start)

    def _note_open(self, event: str, arguments: tuple[Any, ...], frame: FrameType) -> None:  # noqa: ARG002 - as of every listener
        if read := self._find_read(arguments[0]):
            self.times[read] = self.times.get(read, 0) + 1
            self._report_reader(frame, read)

    def _note_start(self, event: str, arguments: tuple[Any, ...], frame: FrameType) -> None:  # noqa: ARG002 - as of every listener
        words = repr(arguments[:2])
        named = self._names.search(words)
        if read := named[0] if named else "the history" if _HISTORY.search(words) else "":
            self._report_reader(frame, read)

    def _find_read(self, path: object) -> str:
        """Return what is read when `path` is opened; "" when it is nothing of the tests."""
        if not isinstance(path, (str, bytes)):
            return ""
        text = realpath(fsdecode(path))
        if self._workspace.locate(text).startswith(f".git{os.sep}"):
            return "the history"
        try:
            return self._files.get(_identify(Path(text)), "")
        except (OSError, ValueError):
            return ""

    def _report_reader(self, frame: FrameType, read: str) -> None:
        """Report the file of the workspace that acts, unless it is a test, or what acts reads for everybody.

        What is called from code may be no test, but have the name of one. If it was changed, a person has to look at it.
        """
        names = [each.f_code.co_filename for each in list_frames(frame)]
        paths = [path for path in map(self._workspace.locate, names) if path]
        before = itertools.takewhile(lambda name: not self._workspace.locate(name), names)
        if not paths or any(reader in name for name in before for reader in _READERS):
            return
        if not self._workspace.is_test(paths[0]):
            self._report(paths[0], f"reads {read} while it is tested")
        elif not all(map(self._workspace.is_test, paths)):
            self._report_look(paths[0], f"reads {read} while it is tested")


def hide_answers(workspace: Workspace) -> None:
    """Give code that asks for a line of a test, as to write a traceback, that line without numbers and texts.

    Tests and pytest get the line as it is.
    """
    read_lines = linecache.getlines

    def getlines(filename: str, module_globals: dict[str, Any] | None = None) -> list[str]:
        lines = read_lines(filename, module_globals)
        if not workspace.is_test(workspace.locate(realpath(filename))):
            return lines
        for each in list_frames(get_frame(1)):
            name = each.f_code.co_filename
            if (path := workspace.locate(name)) and not workspace.is_test(path):
                return [line if "raise " in line else _LITERAL.sub("...", line) for line in lines]
            if path or _PYTEST in name:
                break
        return lines

    linecache.getlines = getlines


class DataReading:
    """Watches the data files of tests: which of them do tests open themselves, and which does code open that nobody told of them?"""

    def __init__(self, report: Report, workspace: Workspace) -> None:
        self._report, self._workspace = report, workspace
        self._folder = str(Path.cwd())
        self._of_tests: set[str] = set()
        self._of_code: dict[str, str] = {}  # the file of the code that opened it

    def watch(self, audit: Audit) -> None:
        """Watch from now on."""
        audit.listen(("open",), self._note_open)

    def _note_open(self, event: str, arguments: tuple[Any, ...], frame: FrameType) -> None:  # noqa: ARG002 - as of every listener
        if not isinstance(arguments[0], (str, bytes)):
            return
        file = realpath(fsdecode(arguments[0]))
        path = self._workspace.locate(file)
        if not path or path.endswith((".py", ".pyc")) or not (self._workspace.is_test(path) or _EXPECTED.search(path)):
            return
        frames = [(each, name) for each in list_frames(frame) if (name := self._workspace.locate(each.f_code.co_filename))]
        if not frames:
            return
        of_code = [each for each, name in frames if not self._workspace.is_test(name)]
        nearest = frames[0][1]
        if self._workspace.is_test(nearest):
            self._of_tests.add(path)
        elif not self._was_told(of_code[-1], file):
            self._of_code[path] = nearest
        if path in self._of_tests and path in self._of_code:
            self._report(self._of_code[path], f"reads {path}, as the tests do, while it is tested")

    def _was_told(self, frame: FrameType, file: str) -> bool:
        """Whether the function of a frame was told of a file, by what it was given, the command line, or the working directory."""
        given = [realpath(text) for text in _list_given(frame)]
        exact = map(realpath, [*sys.argv, *os.environ.values()])
        folders = [*given, *({str(Path.cwd())} - {self._folder})]
        return file in given or file in exact or any(file.startswith(folder + os.sep) for folder in folders)


def _identify(file: Path) -> tuple[int, int]:
    """Return what a file is, by whatever name."""
    status = file.stat()
    return status.st_dev, status.st_ino


def _list_given(frame: FrameType) -> Iterator[str]:
    """Yield the texts and paths that the function of a frame was given: as arguments, in lists, or by the objects that are arguments."""
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & CO_VARARGS) + bool(code.co_flags & CO_VARKEYWORDS)
    values = [frame.f_locals.get(name) for name in code.co_varnames[:count]]
    owned = (getattr(value, "__dict__", None) for value in values)
    values += [part for attributes in owned if isinstance(attributes, dict) for part in attributes.values()]
    values += [part for value in values if isinstance(value, (list, tuple, dict)) for part in value]
    yield from (fsdecode(value) for value in values if isinstance(value, (str, bytes, os.PathLike)))
