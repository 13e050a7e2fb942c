"""The rules of FrozenLake-Obscure: lakes, moves, when play is over, what it is worth. Knows nothing of words and models.

After arXiv 2606.20002, tables 2 and 4; gymnasium's way of drawing lakes, with Python's own generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from random import Random
from typing import Literal

DIRECTIONS = ("down", "right", "up", "left")
CODES = (1, 2, 3, 4)  # of the actions
MAPPINGS = tuple(permutations(range(len(DIRECTIONS))))  # of one of them, element k - 1 is the direction of action k
STEP_COST = 0.1  # of a success that takes all turns
_OFFSETS = ((1, 0), (0, 1), (-1, 0), (0, -1))

Verdict = Literal["goal", "hole", "turns"]


@dataclass(frozen=True, slots=True)
class Level:
    """`depth` bounds how far away the goal of a valid lake may be; `turns` is what the player has."""

    name: str
    sides: tuple[int, int]
    depth: int
    turns: int


SMALL = Level("small", (3, 3), depth=3, turns=4)  # not in the paper; for models that learn on a CPU
EASY = Level("easy", (4, 5), depth=6, turns=8)
HARD = Level("hard", (6, 7), depth=8, turns=10)


@dataclass(frozen=True, slots=True)
class Lake:
    """Cells are numbered row by row from 0."""

    side: int
    holes: frozenset[int]
    start: int
    goal: int
    turns: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A lake in play: `turn` actions were taken, and `code` was the last, at the cell `before`."""

    lake: Lake
    position: int
    turn: int = 0
    code: int | None = None
    before: int = 0


@lru_cache(maxsize=1024)
def draw_lake(level: Level, seed: int) -> Lake:
    """A random lake on which the goal can be reached. Only `random()` is drawn from: its sequence is the same in all versions of Python."""
    draw = Random(seed).random  # noqa: S311
    least, most = level.sides
    side = least + int(draw() * (most - least + 1))
    frozen = 0.6 + 0.1 * draw()
    cells = side * side
    while True:
        holes = {cell for cell in range(cells) if draw() >= frozen}
        start = goal = int(draw() * cells)
        while goal == start:
            goal = int(draw() * cells)
        lake = Lake(side, frozenset(holes - {start, goal}), start, goal, level.turns)
        if _reachable(lake, level.depth):
            return lake


def draw_mapping(pack_seed: int) -> tuple[int, ...]:
    """The hidden direction of each action, as numbers into `DIRECTIONS`."""
    return MAPPINGS[int(Random(pack_seed).random() * len(MAPPINGS))]  # noqa: S311


def move(side: int, cell: int, direction: int) -> int:
    """The cell that a step leads to; the same one at an edge."""
    row, column = cell // side + _OFFSETS[direction][0], cell % side + _OFFSETS[direction][1]
    return row * side + column if 0 <= row < side and 0 <= column < side else cell


def apply_action(moment: Moment, code: int, directions: tuple[int, ...]) -> Moment:
    """The moment after action `code`, 1 to 4, in a pack with this mapping."""
    cell = moment.position
    return Moment(moment.lake, move(moment.lake.side, cell, directions[code - 1]), moment.turn + 1, code, cell)


def judge(moment: Moment) -> Verdict | None:
    """Why play is over; None while it is not."""
    if moment.position == moment.lake.goal:
        return "goal"
    if moment.position in moment.lake.holes:
        return "hole"
    return "turns" if moment.turn == moment.lake.turns else None


def goal_reward(turn: int, turns: int) -> float:
    """The reward of reaching the goal with action number `turn`."""
    return 1.0 - STEP_COST * turn / turns


def _reachable(lake: Lake, depth: int) -> bool:
    """Depth first with one set of visited cells, as the paper: it may miss a way that is just short enough, and never finds a false one."""
    visited: set[int] = set()
    waiting = [(lake.start, 0)]
    while waiting:
        cell, steps = waiting.pop()
        if steps > depth or cell in visited:
            continue
        visited.add(cell)
        near = [move(lake.side, cell, direction) for direction in range(4)]
        if lake.goal in near:
            return True
        waiting += [(other, steps + 1) for other in near if other not in lake.holes]
    return False
