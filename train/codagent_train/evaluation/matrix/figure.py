"""Draws a filled matrix with matplotlib: a small plot for each cell, reward by position under each condition, with what can be reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent_train.evaluation.matrix.cells import Cell
from codagent_train.evaluation.matrix.spec import CONDITIONS
from codagent_train.evaluation.matrix.texts import CONDITION_TEXT, Reachable

_COLOURS = dict(zip(CONDITIONS, ("#0969da", "#57606a", "#1a7f37", "#cf222e", "#8250df", "#bf8700"), strict=True))
_DASHES = {"scratch": ":", "carry": "--", "known": "-."}  # the players whose rewards are drawn


def draw_matrix(cells: Sequence[Cell], reachable: Mapping[str, Reachable], file: Path) -> None:
    """Draw the matrix into `file`, as PNG. Raises UsageError when matplotlib is not installed, or the file cannot be written."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise UsageError("the figure needs matplotlib; install it with: pip install 'codagent[plots]'") from None
    rows, columns = (list(dict.fromkeys(getattr(cell, name) for cell in cells)) for name in ("row", "column"))
    figure = Figure(figsize=(1.5 + 3 * len(columns), 1.2 + 2.2 * len(rows)), dpi=130, layout="constrained")
    grid = figure.subplots(len(rows), len(columns), squeeze=False, sharey="col")
    lines: dict[str, Any] = {}
    for cell in cells:
        row, column = rows.index(cell.row), columns.index(cell.column)
        axes = grid[row][column]
        lines |= _draw_cell(axes, cell, reachable[cell.column])
        axes.set_title(cell.column if row == 0 else "", fontsize=9, parse_math=False)
        axes.set_ylabel(cell.row if column == 0 else "", fontsize=9, parse_math=False)
        axes.set_xlabel("position" if row == len(rows) - 1 else "")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(list(lines.values()), list(lines), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    figure.suptitle("reward by position, with 95 % intervals over packs", fontsize=10)
    try:
        figure.savefig(file, format="png")
    except OSError as error:
        raise UsageError(f"the picture cannot be written to {file}: {error.strerror}") from None


def _draw_cell(axes: Any, cell: Cell, reachable: Reachable) -> dict[str, Any]:
    """Draw the lines of a cell and return them by their label."""
    lines = {}
    for name, dashes in _DASHES.items():
        if name in reachable:
            label = f"without a model: {name}"
            lines[label] = axes.plot([top.mean for top in reachable[name]], linestyle=dashes, color="#8c959f", linewidth=1.0)[0]
    for condition, measured in cell.conditions.items():
        means, margins = [top.mean for top in measured.reward], [top.margin for top in measured.reward]
        style = {"color": _COLOURS[condition], "linewidth": 1.5, "marker": "o", "markersize": 3, "capsize": 2}
        lines[CONDITION_TEXT[condition]] = axes.errorbar(range(len(means)), means, yerr=margins, **style)
    return lines
