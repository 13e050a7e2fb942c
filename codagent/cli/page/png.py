"""The scores of a loop as a PNG, drawn with matplotlib, which is imported when it is asked for."""

from __future__ import annotations

from pathlib import Path

from codagent.cli.page.summary import iterations, verdict
from codagent.errors import UsageError
from codagent.text import sanitize
from codagent.types import Loop


def draw(loop: Loop, file: Path) -> None:
    """Gate score by iteration, filled where every gate passed. UsageError where matplotlib is missing, or `file` cannot be written."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise UsageError("--png needs matplotlib; install it with: pip install 'codagent[plots]'") from None
    told = iterations(loop)
    judged = [iteration for iteration in told if iteration.score is not None]
    passed = [iteration for iteration in judged if iteration.passed]
    figure = Figure(figsize=(8, 4), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.plot([i.number for i in judged], [i.score or 0.0 for i in judged], "o-", color="#57606a", markerfacecolor="white")
    axes.plot([i.number for i in passed], [i.score or 0.0 for i in passed], "o", color="#1a7f37", label="passed")
    axes.set(xlabel="iteration", ylabel="gate score", ylim=(-0.05, 1.05), xlim=(0.5, max(1, len(told)) + 0.5))
    axes.set_title(f"{sanitize(loop.id)} · {sanitize(loop.model)} · {verdict(told)}", fontsize=10, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if passed:
        axes.legend(frameon=False, loc="lower right")
    try:
        figure.savefig(file, format="png")
    except OSError as error:
        raise UsageError(f"the picture cannot be written to {file}: {error.strerror}") from None
