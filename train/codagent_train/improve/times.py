"""How many seconds each phase of an improvement has taken, over all the commands that went on with it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from codagent.files import write_whole

TIMES = "times.json"
_KEEP_S = 10.0  # from one writing of the seconds to the next


def read_times(out: Path) -> dict[str, float]:
    """Return the seconds of each phase so far, by its name."""
    try:
        times: dict[str, float] = json.loads((out / TIMES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return times


@contextmanager
def count_seconds(out: Path, phase: str) -> Iterator[None]:
    """Add the seconds of the block to those of the phase. They are written while they pass, so those of a killed command count too."""
    before, began, ended = read_times(out), time.monotonic(), Event()

    def keep() -> None:
        times = before | {phase: before.get(phase, 0.0) + time.monotonic() - began}
        write_whole(out / TIMES, json.dumps(times, indent=1).encode())

    def keep_on() -> None:
        while not ended.wait(_KEEP_S):
            keep()

    thread = Thread(target=keep_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        keep()
