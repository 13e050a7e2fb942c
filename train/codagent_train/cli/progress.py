"""Show how far a training run is. `rich` is imported only when steps are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

EVERY = 10  # without a terminal, one line for so many steps
_POSITION = "reward/position_"  # followed by the number of the position
_RATE_S = 3600.0  # the time left is computed from the speed of so many seconds


@contextmanager
def show_steps(stream: TextIO, steps: int, *, done: int = 0) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """Show the steps of a run: a bar on a terminal, elsewhere a line for every tenth step and for the last.

    Gives a function that takes the number of a step, from 1, and its metrics. `done` steps were taken before. On a terminal, a clock runs
    until the first step is over, and the time left is shown from the second on. Colours follow NO_COLOR.
    """
    bar, waiting = _make_bars(stream)
    task = bar.add_task("", total=steps, completed=done)
    waiting.add_task(f"loading the model, then step {done + 1} of {steps}")

    def show(step: int, values: Mapping[str, float]) -> None:
        line = describe_step(step, steps, values)
        waiting.stop()
        bar.start()
        bar.update(task, description=line, completed=step, refresh=True)
        if bar.disable and (step % EVERY == 0 or step == steps):
            left = bar.tasks[0].time_remaining
            stream.write(line + ("" if left is None else f" · {left // 60:.0f}:{left % 60:02.0f} left") + "\n")
            stream.flush()

    waiting.start()
    try:
        yield show
    finally:
        if waiting.live.is_started:
            waiting.stop()
        if bar.live.is_started:  # rich 13 prints a line where nothing was drawn
            bar.stop()


def _make_bars(stream: TextIO) -> tuple[Progress, Progress]:
    """Return the bar of the steps, and the clock that runs before the first. Both are disabled where lines cannot be drawn anew."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.table import Column

    console = Console(file=stream, force_terminal=stream.isatty())
    plain = not console.is_terminal or console.is_dumb_terminal
    bar = Progress(
        *(TaskProgressColumn(), BarColumn(bar_width=20), TimeRemainingColumn(), TextColumn("left ·")),
        TextColumn("{task.description}", markup=False, table_column=Column()),  # a long line wraps
        console=console,
        disable=plain,
        auto_refresh=False,
        redirect_stdout=False,
        speed_estimate_period=_RATE_S,
    )
    description = TextColumn("{task.description}")
    return bar, Progress(SpinnerColumn(), description, TimeElapsedColumn(), console=console, disable=plain, transient=True)


def describe_step(step: int, steps: int, values: Mapping[str, float]) -> str:
    """Describe a step in one line: its number, the reward by position, the speed."""
    positions = sorted((name for name in values if name.startswith(_POSITION)), key=lambda name: int(name.removeprefix(_POSITION)))
    rewards = " ".join(f"{values[name]:.2f}" for name in positions)
    speed = values["tokens/completion"] / values["seconds/step"]
    return f"step {step} of {steps} · reward by position {rewards} · {speed:,.0f} tokens/s"
