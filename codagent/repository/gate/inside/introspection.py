"""Reports code that looks into the running interpreter while it is tested: at frames, code objects, or all objects there are.

The look at the source of a change finds that by its names. This finds it by whatever name: the interpreter itself tells of it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from types import FrameType, FunctionType, ModuleType
from typing import Any

from .audit import Audit, Workspace, get_frame, list_frames

_EVENTS = {
    *("sys._getframe", "sys._current_frames", "sys._current_exceptions", "sys.settrace", "sys.setprofile", "sys.addaudithook"),
    *("gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys.monitoring.register_callback"),
    *("ctypes.dlopen", "ctypes.dlsym", "ctypes.string_at", "ctypes.PyObj_FromPtr", "ctypes.cdata"),
}
_ATTRIBUTES = {"tb_frame", "f_code", "gi_frame", "cr_frame", "ag_frame", "gi_code", "__code__"}
# Modules that look at frames for their caller.
_HELPERS = ("inspect", "traceback", "string", "functools", "operator", "timeit", "pkgutil", "pydoc")
_GETTERS = ("currentframe", "<lambda>")  # functions that give their caller a frame, as in `logging`


class Introspection:
    """Watches what the code of the workspace asks the interpreter for.

    Tests are no exception. The host leaves out what files do that did not change.
    """

    def __init__(self, report: Callable[[str, str], None], workspace: Workspace, audit: Audit) -> None:
        """`report` takes a path of the workspace and what its code does."""
        self._report, self._workspace, self._audit = report, workspace, audit

    def watch(self) -> None:
        """Watch from now on."""
        self._audit.listen(_EVENTS, lambda event, _, frame: self._look(frame, f"the interpreter, by {event}"))
        self._audit.listen(("object.__getattr__",), self._note_attribute)

    def guard(self, modules: Iterable[ModuleType]) -> None:
        """Report code that looks into modules of tests, by whatever way it got them.

        Classes and functions may be taken out of them: that is how objects are unpickled. Tests may not, because a test that is called
        tells whether an answer is right.
        """
        look, audit = self._look, self._audit

        class Guarded(ModuleType):
            def __getattribute__(self, name: str) -> Any:
                value = super().__getattribute__(name)
                if name == "__dict__" or not (name.startswith("__") or _may_be_taken(value)):
                    with audit.pause():
                        look(get_frame(1), "the module of a test")
                return value

            def __dir__(self) -> Iterable[str]:
                with audit.pause():
                    look(get_frame(1), "the module of a test")
                return super().__dir__()

        for module in modules:
            if type(module) is ModuleType:
                module.__class__ = Guarded

    def _note_attribute(self, event: str, arguments: tuple[Any, ...], frame: FrameType) -> None:  # noqa: ARG002 - as of every listener
        name = arguments[1]
        if name == "__code__":  # `inspect.signature` reads code objects for everybody
            self._look(frame, f"the interpreter, by {name}", helpers=())
        elif name in _ATTRIBUTES and not _writes_traceback(frame):
            self._look(frame, f"the interpreter, by {name}")

    def _look(self, frame: FrameType, what: str, *, helpers: tuple[str, ...] = _HELPERS) -> None:
        """Report the file of the workspace that acts, itself or by one of the helpers."""
        for each in list_frames(frame):
            name = each.f_code.co_filename
            if path := self._workspace.locate(name):
                self._report(path, f"looks into {what} while it is tested")
                return
            if not (name.startswith("<") or _module_name(name) in helpers or each.f_code.co_name in _GETTERS):
                return


def _may_be_taken(value: object) -> bool:
    return isinstance(value, type) or (isinstance(value, FunctionType) and not value.__name__.startswith("test"))


def _writes_traceback(frame: FrameType) -> bool:
    """Whether `traceback` looks at frames to write a traceback, and not for its caller."""
    return all(_module_name(each.f_code.co_filename) == "traceback" for each in itertools.islice(list_frames(frame), 2))


def _module_name(file: str) -> str:
    return file.rpartition(os.sep)[2].removesuffix(".py")
