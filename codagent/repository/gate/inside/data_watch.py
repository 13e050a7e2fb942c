"""Reports code that reads, of its own accord, a data file out of which a test takes what it expects."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from inspect import CO_VARARGS, CO_VARKEYWORDS
from pathlib import Path
from types import FrameType
from typing import Any

_EXPECTED = re.compile(r"expect|golden|snapshot|answer", re.IGNORECASE)


class DataWatch:
    """Watches the data files of tests: which of them do tests open themselves, and which does code open that nobody told of them?"""

    def __init__(self, report: Callable[[str, str], None], workspace: str, tests: str) -> None:
        """`tests` is a pattern for the paths of tests. `report` takes a path of the workspace and what its code does."""
        self._report, self._workspace, self._tests = report, os.path.realpath(workspace) + os.sep, re.compile(tests, re.IGNORECASE)
        self._folder = str(Path.cwd())
        self._of_tests: set[str] = set()
        self._of_code: dict[str, str] = {}  # the file of the code that opened it
        self._busy = False

    def install(self) -> None:
        """Start watching. It cannot be switched off."""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and not self._busy and isinstance(arguments[0], (str, bytes)):
            self._busy = True
            try:
                self._note(os.path.realpath(os.fsdecode(arguments[0])), sys._getframe(1))
            finally:
                self._busy = False

    def _note(self, file: str, frame: FrameType) -> None:
        path = self._inside(file)
        if not path or path.endswith((".py", ".pyc")) or not (self._tests.search(path) or _EXPECTED.search(path)):
            return
        frames = [each for each in _list_frames(frame) if self._inside(each.f_code.co_filename)]
        if not frames:
            return
        names = [self._inside(each.f_code.co_filename) for each in frames]
        if self._tests.search(names[0]):
            self._of_tests.add(path)
        else:
            of_code = [each for each, name in zip(frames, names) if not self._tests.search(name)]  # noqa: B905 - Python 3.9
            if not self._was_told(of_code[-1], file):
                self._of_code[path] = names[0]
        if path in self._of_tests and path in self._of_code:
            self._report(self._of_code[path], f"reads {path}, as the tests do, while it is tested")

    def _was_told(self, frame: FrameType, file: str) -> bool:
        """Whether the function of a frame was told of a file, by what it was given, the command line, or the working directory."""
        given = [os.path.realpath(text) for text in _list_given(frame)]
        exact = map(os.path.realpath, [*sys.argv, *os.environ.values()])
        folders = [*given, *({str(Path.cwd())} - {self._folder})]
        return file in given or file in exact or any(file.startswith(folder + os.sep) for folder in folders)

    def _inside(self, file: str) -> str:
        """Return the path of a file in the workspace; "" when it is not there."""
        return file[len(self._workspace) :] if file.startswith(self._workspace) else ""


def _list_frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _list_given(frame: FrameType) -> Iterator[str]:
    """Yield the texts and paths that the function of a frame was given: as arguments, in lists, or by the objects that are arguments."""
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & CO_VARARGS) + bool(code.co_flags & CO_VARKEYWORDS)
    values = [frame.f_locals.get(name) for name in code.co_varnames[:count]]
    owned = (getattr(value, "__dict__", None) for value in values)
    values += [part for attributes in owned if isinstance(attributes, dict) for part in attributes.values()]
    values += [part for value in values if isinstance(value, (list, tuple, dict)) for part in value]
    yield from (os.fsdecode(value) for value in values if isinstance(value, (str, bytes, os.PathLike)))
