"""Tells what a command has printed so far, while the command runs."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress

from codagent.errors import SandboxError
from codagent.protocols import OnText, ignore_text

END_BYTES = 4096  # of the output that are told
PERIOD_S = 1.0  # also how long a command runs before the first look


@contextmanager
def watch_output(looks: Generator[str], on_output: OnText) -> Iterator[None]:
    """Call `on_output` once a second while the block runs, in a thread of its own, with the next text of `looks`.

    `looks` yields the end of the output as it is at that moment. When that fails, nothing more is told. `on_output` is never called after
    the block.
    """
    if on_output is ignore_text:
        yield
        return
    ended, telling = threading.Event(), threading.Lock()

    def work() -> None:
        with suppress(OSError, SandboxError, ValueError), closing(looks):  # the sandbox is closed, or no process can begin
            while not ended.wait(PERIOD_S):
                text = next(looks)
                with telling:
                    if not ended.is_set():
                        on_output(text)

    threading.Thread(target=work, name="output", daemon=True).start()
    try:
        yield
    finally:
        with telling:
            ended.set()
