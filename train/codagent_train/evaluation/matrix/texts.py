"""A filled matrix as Markdown tables for people, one for each column, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from codagent_train.evaluation.matrix.cells import Cell, Measured
from codagent_train.evaluation.matrix.spec import Condition
from codagent_train.evaluation.tables import format_estimate, format_row
from codagent_train.intervals import Estimate

Reachable = Mapping[str, tuple[Estimate, ...]]  # rewards by position, by the name of the player
CONDITION_TEXT: Mapping[Condition, str] = {
    "own": "own notes",
    "none": "no notes",
    "raw": "raw history",
    "shuffled": "notes of other packs",
    "untrained": "the untrained model's notes",
    "true": "true notes",
}


def column_table(column: str, cells: Sequence[Cell], reachable: Reachable) -> str:
    """Return the table of a column: reward by position, gains, malformed answers and tokens in each row; and what can be reached.

    A checkpoint that cannot answer in this column, whose every attempt had a malformed answer, has one row for all its conditions.
    """
    positions = range(len(next(iter(cells[0].conditions.values())).reward))
    heads = [
        *(f"{at}" for at in positions),
        "last - first",
        "over no notes",
        "malformed",
        "notes malformed",
        "tokens a reply",
        "tokens of notes",
    ]
    rows = [row for cell in cells for row in _rows(cell)]
    rows += [[f"without a model: {name}", *(f"{top.mean:.2f}" for top in tops), *[""] * 6] for name, tops in reachable.items()]
    packs = max(measured.packs for cell in cells for measured in cell.conditions.values())
    title = f"**{column}**: reward by position over {packs} packs (± is half of a 95 % interval over packs)"
    return "\n".join([title, "", format_row(["", *heads]), format_row(["---"] * (len(heads) + 1)), *map(format_row, rows)])


def matrix_json(cells: Sequence[Cell], reachable: Mapping[str, Reachable]) -> str:
    """Return all cells, and what can be reached in each column."""
    tops = {column: {name: [asdict(top) for top in rewards] for name, rewards in players.items()} for column, players in reachable.items()}
    return json.dumps({"cells": [asdict(cell) for cell in cells], "reachable": tops}, indent=2) + "\n"


def _rows(cell: Cell) -> list[list[str]]:
    first = next(iter(cell.conditions.values()), None)
    if first and all(measured.malformed.mean == 1 for measured in cell.conditions.values()):
        return [[f"{cell.row}, any notes: every attempt had a malformed answer", *_numbers(first)]]
    return [[f"{cell.row}, {CONDITION_TEXT[condition]}", *_numbers(measured)] for condition, measured in cell.conditions.items()]


def _numbers(measured: Measured) -> list[str]:
    optional = [measured.over_no_notes, measured.malformed, measured.notes_malformed]
    tokens = [measured.reply_tokens, measured.notes_tokens]
    return [
        *map(format_estimate, measured.reward),
        format_estimate(measured.gain),
        *(format_estimate(estimate) if estimate else "" for estimate in optional),
        *(f"{estimate.mean:.1f}" if estimate else "" for estimate in tokens),
    ]
