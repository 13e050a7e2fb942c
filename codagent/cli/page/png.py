"""Draw the gate scores of a loop as a PNG, with matplotlib, which is imported only then."""

from __future__ import annotations

from pathlib import Path

from codagent.cli.page.chart import collect_points
from codagent.cli.page.summary import describe_verdict, summarize_iterations
from codagent.errors import UsageError
from codagent.text import escape_undecodable, strip_controls
from codagent.types import Loop


def draw_png(loop: Loop, file: Path) -> None:
    """Draw the curve of the page into `file`. Raises UsageError if matplotlib is missing or the file cannot be written."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise UsageError("--png needs matplotlib; install it with: pip install 'codagent[plots]'") from None
    iterations = summarize_iterations(loop)
    points = collect_points(iterations)
    passed = [point for point in points if point.passed]
    figure = Figure(figsize=(8, 4), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.plot([p.number for p in points], [p.score for p in points], "o-", color="#57606a", markerfacecolor="white")
    axes.plot([p.number for p in passed], [p.score for p in passed], "o", color="#1a7f37", label="passed")
    axes.set(xlabel="iteration", ylabel="score", ylim=(-0.05, 1.05), xlim=(0.5, max(1, len(iterations)) + 0.5))
    title = escape_undecodable(strip_controls(f"{loop.id} · {loop.model} · {describe_verdict(loop, iterations)}"))
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if passed:
        axes.legend(frameon=False, loc="lower right")
    try:
        figure.savefig(file, format="png")
    except OSError as error:
        raise UsageError(f"the picture cannot be written to {file}: {error.strerror}") from None
