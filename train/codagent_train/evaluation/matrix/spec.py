"""The file that says what a matrix has: TOML with checkpoints (rows), columns, and how much is played."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from codagent.errors import UsageError
from codagent.settings.toml import Count, Table, Text, parse_table, read_toml
from codagent_train.recipe.environment_config import (
    EnvironmentConfig,
    EnvironmentName,
    Form,
    Memory,
    Packing,
    find_environment_problems,
)

# own: the notes that the policy writes · none: no notes · raw: all earlier attempts, word for word, in place of notes
# shuffled: the notes that it wrote in another pack · untrained: the notes that the untrained model wrote in the same pack
# true: notes that say all that is hidden, where the environment can write them
Condition = Literal["own", "none", "raw", "shuffled", "untrained", "true"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)


class CheckpointConfig(Table, frozen=True):
    """A row: weights, and how they are asked."""

    weights: Text  # a run (its last checkpoint), a checkpoint, an adapter, a folder of weights, or a name on the hub
    recipe: Text | None = None  # a recipe or a run that says how the weights are asked; None: their own run


class ColumnConfig(Table, frozen=True):
    """A column: what is played."""

    environment: EnvironmentName
    level: Text = "easy"
    form: Form = "terse"
    tasks: Count = 8  # in a pack
    packing: Packing = "cod"  # cod: different tasks; ralph: the first task of the pack again and again
    memory: Memory = "notes"

    def __str__(self) -> str:
        extras = [", Ralph"] * (self.packing == "ralph") + [", remembered by the environment"] * (self.memory == "environment")
        return f"{self.config.label}, {self.tasks} tasks{''.join(extras)}"

    @property
    def config(self) -> EnvironmentConfig:
        """The column as the environment of a recipe."""
        return EnvironmentConfig(self.environment, self.level, self.form, self.tasks, self.packing, memory=self.memory)


class MatrixConfig(Table, frozen=True):
    """A whole matrix."""

    checkpoints: tuple[CheckpointConfig, ...]
    columns: tuple[ColumnConfig, ...]
    packs: Count = 100  # test packs in each cell: the same in all rows
    loops: Count = 1  # over each pack
    conditions: tuple[Condition, ...] = CONDITIONS
    untrained: bool = True  # whether there is a row for the weights that a run began with; False: nor is the condition of that name played


def read_matrix(file: Path) -> MatrixConfig:
    """Read a matrix. Raises UsageError, which names the file, the key and what would do."""
    try:
        data: Any = read_toml(file)
    except FileNotFoundError:
        raise UsageError(f"there is no file {file}; give a TOML file with [[checkpoints]] and [[columns]]") from None
    matrix = parse_table(data, MatrixConfig, where=file)
    for key, length, least in (
        ("checkpoints", len(matrix.checkpoints), 1),
        ("columns", len(matrix.columns), 1),
        ("packs", matrix.packs, 2),
    ):
        if length < least:
            raise UsageError(f"{file}: {key}: a matrix needs at least {least}")
    for number, column in enumerate(matrix.columns, 1):
        for problem in find_environment_problems(column.config):
            raise UsageError(f"{file}: [[columns]] number {number} {problem}")
    return matrix
