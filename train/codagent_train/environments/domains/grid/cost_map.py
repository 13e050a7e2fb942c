"""The rules of grid navigation: a hidden map of costs, trips over it, and what a move enters and shows. No texts.

Cells are (row, column), from 0. A map is a sum of hills on the unit square, scaled to [0, 1], squared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import cos, exp, pi, sin

from codagent_train.environments.domains.shared.draws import Draws

HIGHEST = 99  # the greatest cost of a cell
Cell = tuple[int, int]


@dataclass(frozen=True, slots=True)
class GridLevel:
    """How maps and trips are drawn. Two numbers are the bounds of a uniform draw."""

    name: str
    sides: tuple[int, int]
    hills: int
    rounds: tuple[int, int]
    grades: int = HIGHEST  # costs are this many equal steps from 0 to 99, and are shown as the number of steps


LEVELS = {
    level.name: level
    for level in (
        GridLevel("small", (5, 6), 2, (2, 3), grades=9),  # not in the paper; small enough to be noted
        GridLevel("train", (8, 12), 4, (3, 5)),
        GridLevel("eval", (10, 14), 5, (3, 5)),
    )
}


@dataclass(frozen=True, slots=True)
class CostMap:
    """What is hidden, and the same in all tasks of a pack."""

    grades: tuple[tuple[int, ...], ...]  # of each cell, row by row
    unit: int  # what a grade costs

    @property
    def side(self) -> int:
        return len(self.grades)

    def cost(self, cell: Cell) -> int:
        return self.grades[cell[0]][cell[1]] * self.unit


@dataclass(frozen=True, slots=True)
class Trip:
    """A task in play: to stand on the goal after exactly so many moves."""

    costs: CostMap
    position: Cell
    goal: Cell
    rounds: int
    round: int = 0
    spent: int = 0  # the costs of all cells that were entered
    entered: int = 0  # how many they were; a cell counts each time

    @property
    def loss(self) -> float:
        """The mean cost of the cells that were entered; 0 before the first move."""
        return self.spent / self.entered if self.entered else 0.0

    @property
    def arrived(self) -> bool:
        return self.round == self.rounds and self.position == self.goal

    @property
    def reward(self) -> float:
        return 1.0 - self.loss / 100 if self.arrived else 0.0

    def allows(self, target: Cell) -> bool:
        """Return whether a move leads to another cell of the same row or column."""
        inside = all(0 <= place < self.costs.side for place in target)
        return inside and (target[0] == self.position[0]) != (target[1] == self.position[1])

    def move(self, target: Cell) -> Trip:
        cells = crossed(self.position, target)
        spent = self.spent + sum(map(self.costs.cost, cells))
        return replace(self, position=target, round=self.round + 1, spent=spent, entered=self.entered + len(cells))


@lru_cache(maxsize=256)
def draw_costs(level: GridLevel, pack_seed: int) -> CostMap:
    draws = Draws(pack_seed)
    side = draws.integer(*level.sides)
    heights = [[0.0] * side for _ in range(side)]
    for _ in range(level.hills):
        y, x = draws.real(0, 1), draws.real(0, 1)
        long = draws.real(0.15, 0.45)
        short = draws.real(0.15, long)
        angle, height = draws.real(0, pi), draws.real(0.8, 1.2)
        for row in range(side):
            for column in range(side):
                down, right = row / (side - 1) - y, column / (side - 1) - x
                u, v = cos(angle) * down + sin(angle) * right, cos(angle) * right - sin(angle) * down
                heights[row][column] += height * exp(-((u / long) ** 2 + (v / short) ** 2) / 2)
    low, high = min(map(min, heights)), max(map(max, heights))
    grades = (tuple(round(level.grades * ((value - low) / (high - low)) ** 2) for value in row) for row in heights)
    return CostMap(tuple(grades), HIGHEST // level.grades)


def draw_trip(level: GridLevel, costs: CostMap, task_seed: int) -> Trip:
    """Draw a start and a goal that random moves lead to in the number of rounds."""
    draws = Draws(task_seed)
    rounds = draws.integer(*level.rounds)
    while True:
        start = place = (draws.integer(0, costs.side - 1), draws.integer(0, costs.side - 1))
        for _ in range(rounds):
            along_row = draws.chance(0.5)
            other = draws.integer(0, costs.side - 2)
            other += other >= place[along_row]
            place = (place[0], other) if along_row else (other, place[1])
        if place != start:
            return Trip(costs, start, place, rounds)


def crossed(start: Cell, target: Cell) -> list[Cell]:
    """Return the cells that a move enters, the target last."""
    (row, column), (to_row, to_column) = start, target
    if row == to_row:
        step = 1 if to_column > column else -1
        return [(row, place) for place in range(column + step, to_column + step, step)]
    step = 1 if to_row > row else -1
    return [(place, column) for place in range(row + step, to_row + step, step)]


def seen_from(cells: Iterable[Cell], side: int) -> set[Cell]:
    """Return the cells that are shown when these are entered: they and their eight neighbours."""
    around = (-1, 0, 1)
    return {(row + down, column + right) for row, column in cells for down in around for right in around
            if 0 <= row + down < side and 0 <= column + right < side}  # fmt: skip
