"""A text stream whose lines appear above the input line, in the thread of that line, without the terminal leaving its raw mode.

prompt_toolkit's own way switches the terminal to its cooked mode while it prints. What is typed in that moment is echoed and lost.
"""

from __future__ import annotations

import io
import sys
import threading
from typing import TextIO

from prompt_toolkit.application import Application

_BUNDLE_S = 0.02  # what is printed within this time is printed at once


class LinePrinter(io.TextIOBase):
    """Stands in for stdout and stderr while an application shows the input line. Whole lines are printed; the rest waits for its end."""

    def __init__(self, app: Application[str], stream: TextIO) -> None:
        self._app, self._stream = app, stream
        self._lock = threading.Lock()
        self._lines, self._rest, self._waiting = "", "", False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Print the whole lines of a text soon. From any thread."""
        with self._lock:
            lines, end, self._rest = (self._rest + text).rpartition("\n")
            self._lines += lines + end
            if not self._lines or self._waiting:
                return len(text)
            self._waiting = True
        loop = self._app.loop
        if loop is None or not self._app.is_running:
            self._print()
        else:
            loop.call_soon_threadsafe(loop.call_later, _BUNDLE_S, self._print)
        return len(text)

    def finish(self) -> None:
        """Print what is left, now that no application runs any more."""
        self.write("\n" if self._rest else "")
        self._print()

    def _print(self) -> None:
        with self._lock:
            text, self._lines, self._waiting = self._lines, "", False
        if not text:
            return
        app = self._app
        if not app.is_running:
            self._stream.write(text)
            self._stream.flush()
            return
        app.renderer.erase()
        app.output.enable_autowrap()
        app.output.write_raw(text.encode(self.encoding or "utf-8", "backslashreplace").decode(self.encoding or "utf-8"))
        app.output.flush()
        app.renderer.reset()
        app.renderer.request_absolute_cursor_position()
        app.invalidate()


def install(app: Application[str]) -> LinePrinter:
    """Let stdout and stderr print above the input line of an application."""
    printer = LinePrinter(app, sys.stdout)
    sys.stdout = sys.stderr = printer
    return printer
