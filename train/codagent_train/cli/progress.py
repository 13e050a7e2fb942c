"""How far a run has come, for a person: one line, on a terminal always the same one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TextIO

EVERY = 10  # steps between two lines where they stay


class RunProgress:
    """Is told of each step, and writes to `stream`. `done` is the steps that were taken before."""

    def __init__(self, stream: TextIO, steps: int, *, done: int = 0) -> None:
        self._stream, self._steps, self._done = stream, steps, done
        self._began = time.monotonic()

    def __call__(self, step: int, values: Mapping[str, float]) -> None:
        seconds_left = (time.monotonic() - self._began) / (step - self._done) * (self._steps - step)
        line = progress_line(step, self._steps, values, seconds_left)
        if self._stream.isatty():
            self._stream.write(f"\r\x1b[K{line}" + "\n" * (step == self._steps))
        elif step % EVERY == 0 or step == self._steps:
            self._stream.write(line + "\n")
        self._stream.flush()


def progress_line(step: int, steps: int, values: Mapping[str, float], seconds_left: float) -> str:
    """A step in a line: the reward by position, the speed, and how long the rest will take."""
    rewards = " ".join(f"{values[name]:.2f}" for name in sorted(values) if name.startswith("reward/position_"))
    speed = values["tokens/completion"] / values["seconds/step"]
    minutes, seconds = divmod(round(seconds_left), 60)
    return f"step {step} of {steps} · reward by position {rewards} · {speed:,.0f} tokens/s · {minutes}:{seconds:02d} left"
