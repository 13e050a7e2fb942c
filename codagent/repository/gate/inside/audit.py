"""The folder of the code under test, and what the interpreter tells of that code while it runs."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from os.path import realpath
from pathlib import Path
from types import FrameType
from typing import Any

get_frame = sys._getframe  # as it is now: a test may replace it for a while
Listener = Callable[[str, "tuple[Any, ...]", FrameType], None]  # an event, its arguments, and the frame that caused it


class Workspace:
    """Which files are in the workspace, and which of them are tests."""

    def __init__(self, folder: str, tests: str) -> None:
        """`tests` is a pattern for the paths of tests."""
        self._folder, self._tests = realpath(folder) + os.sep, re.compile(tests, re.IGNORECASE)

    def locate(self, file: object) -> str:
        """Return the path of a file in the workspace; "" for a file that is elsewhere."""
        text = str(file)
        return text[len(self._folder) :] if text.startswith(self._folder) else ""

    def contains(self, folder: str) -> bool:
        """Whether a folder is the workspace, or in it."""
        return (realpath(folder) + os.sep).startswith(self._folder)

    def is_test(self, path: str) -> bool:
        """Whether a path of the workspace is that of a test, or of a file beside one."""
        return bool(self._tests.search(path))

    def list_modules(self) -> Iterator[tuple[str, Path]]:
        """Yield the path in the workspace of each module, and its file."""
        for folder, folders, files in os.walk(self._folder):
            folders[:] = [name for name in folders if name not in (".git", "node_modules")]
            for file in (Path(folder, name) for name in files if name.endswith(".py")):
                if file.is_file():
                    yield self.locate(file), file


class Audit:
    """Passes on what the interpreter tells of (PEP 578), without what the listeners cause themselves."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}
        self._paused = False
        sys.addaudithook(self._hear)  # it cannot be taken away

    def listen(self, events: Iterable[str], listener: Listener) -> None:
        """Call `listener` for each of the events from now on."""
        for event in events:
            self._listeners.setdefault(event, []).append(listener)

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Pass on nothing in the meantime."""
        paused, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = paused

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        listeners = self._listeners.get(event)
        if listeners and not self._paused:
            self._paused = True  # without the cost of `pause`: a session has a hundred thousand events
            try:
                for listener in listeners:
                    listener(event, arguments, get_frame(1))
            finally:
                self._paused = False


def list_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame and those that it was called from."""
    while frame is not None:
        yield frame
        frame = frame.f_back
