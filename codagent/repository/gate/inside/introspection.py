"""Reports code that looks into the running interpreter while it is tested: at frames, code objects, or all objects there are.

The look at the source of a change finds that by its names. This finds it by whatever name: the interpreter itself tells of it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from types import FrameType, FunctionType, ModuleType
from typing import Any

_EVENTS = {
    *("sys._getframe", "sys._current_frames", "sys._current_exceptions", "sys.settrace", "sys.setprofile", "sys.addaudithook"),
    *("gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys.monitoring.register_callback"),
    *("ctypes.dlopen", "ctypes.dlsym", "ctypes.string_at", "ctypes.PyObj_FromPtr", "ctypes.cdata"),
}
_ATTRIBUTES = {"tb_frame", "f_code", "gi_frame", "cr_frame", "ag_frame", "gi_code", "__code__"}
# Modules that look at frames for their caller.
_HELPERS = ("inspect", "traceback", "string", "functools", "operator", "timeit", "pkgutil", "pydoc")


class Introspection:
    """Watches what the code of the workspace asks the interpreter for."""

    def __init__(self, report: Callable[[str, str], None], workspace: str, tests: str) -> None:
        """`tests` is a pattern for the paths of tests. `report` takes a path of the workspace and what its code does."""
        self._report, self._workspace, self._tests = report, os.path.realpath(workspace) + os.sep, re.compile(tests, re.IGNORECASE)
        self._busy = False

    def install(self) -> None:
        """Start watching. It cannot be switched off."""
        sys.addaudithook(self._hear)

    def guard(self, modules: Iterable[ModuleType]) -> None:
        """Report code that looks into modules of tests, by whatever way it got them.

        Classes and functions may be taken out of them: that is how objects are unpickled.
        """
        look = self._look

        class Guarded(ModuleType):
            def __getattribute__(self, name: str) -> Any:
                value = super().__getattribute__(name)
                if name == "__dict__" or not (name.startswith("__") or isinstance(value, (type, FunctionType))):
                    look(sys._getframe(1), "the module of a test")
                return value

            def __dir__(self) -> Iterable[str]:
                look(sys._getframe(1), "the module of a test")
                return super().__dir__()

        for module in modules:
            if type(module) is ModuleType:
                module.__class__ = Guarded

    def _look(self, frame: FrameType, what: str, *, direct: bool = False) -> None:
        busy, self._busy = self._busy, True
        if code := self._find_code(frame, direct=direct):
            self._report(code, f"looks into {what} while it is tested")
        self._busy = busy

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        is_read = event == "object.__getattr__" and arguments[1] in _ATTRIBUTES
        if not self._busy and (is_read or event in _EVENTS):
            self._busy = True
            what = arguments[1] if is_read else event
            self._look(sys._getframe(1), f"the interpreter, by {what}", direct=what == "__code__")
            self._busy = False

    def _find_code(self, frame: FrameType | None, *, direct: bool) -> str:
        """Return the file of the workspace that acts, itself or by a helper. Returns "" when it is a test, or none.

        With `direct`, helpers act for themselves: `inspect.signature` reads code objects for everybody.
        """
        inside_traceback = 0
        while frame is not None:
            name = frame.f_code.co_filename
            helper = name.rpartition(os.sep)[2].removesuffix(".py")
            inside_traceback += helper == "traceback"
            if not (name.startswith("<") or (helper in _HELPERS and not direct)) or inside_traceback > 1:  # more: it writes a traceback
                break
            frame = frame.f_back
        path = name[len(self._workspace) :] if frame is not None and name.startswith(self._workspace) else ""
        return "" if self._tests.search(path) else path
