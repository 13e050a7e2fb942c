"""How much time a busy machine may take for what takes a quiet one a few seconds."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from types import TracebackType


class Pace:
    """Measures, while the block runs, how slow the machine is: the longest time that a process and a write to the disk took."""

    def __init__(self) -> None:
        self._slowest = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._measure, daemon=True)

    def __enter__(self) -> Pace:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def slack(self) -> float:
        """Return the seconds that may be added to a bound: less than one on a quiet machine."""
        return 20 * self._slowest

    def _measure(self) -> None:
        with tempfile.TemporaryFile() as file:
            while True:
                began = time.monotonic()
                subprocess.run(["true"], check=True)
                file.write(b"x")
                file.flush()
                os.fsync(file.fileno())
                self._slowest = max(self._slowest, time.monotonic() - began)
                if self._ended.wait(0.05):
                    return
