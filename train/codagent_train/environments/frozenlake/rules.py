"""The rules of FrozenLake-Obscure: lakes, moves, the end of play, rewards. No texts and no models.

The rules follow arXiv 2606.20002, tables 2 and 4. Lakes are drawn as in gymnasium's FrozenLake, with Python's own random generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from random import Random
from typing import Literal
from zlib import crc32

DIRECTIONS = ("down", "right", "up", "left")
CODES = (1, 2, 3, 4)  # the names of the actions
MAPPINGS = tuple(permutations(range(len(DIRECTIONS))))  # element k - 1 of a mapping is the direction of action k
STEP_COST = 0.1  # what a success loses when it takes all turns
_OFFSETS = ((1, 0), (0, 1), (-1, 0), (0, -1))

Verdict = Literal["goal", "hole", "turns"]


@dataclass(frozen=True, slots=True)
class Level:
    """How large lakes are and how long they are played."""

    name: str
    sides: tuple[int, int]  # the smallest and the largest side of a lake, in cells
    depth: int  # bound of the search that tells whether a lake can be solved
    turns: int  # how many actions the player has
    disjoint: bool = False  # there are so few lakes that those for tests must be kept apart from those for training


SMALL = Level("small", (3, 3), depth=3, turns=4, disjoint=True)  # not in the paper; for small models on a CPU
EASY = Level("easy", (4, 5), depth=6, turns=8)
HARD = Level("hard", (6, 7), depth=8, turns=10)


@dataclass(frozen=True, slots=True)
class Lake:
    """A square lake. Cells are numbered row by row from 0."""

    side: int
    holes: frozenset[int]
    start: int
    goal: int
    turns: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A lake in play."""

    lake: Lake
    position: int  # the player's cell
    turn: int = 0  # how many actions were taken
    code: int | None = None  # the last action; None before the first
    before: int = 0  # the cell in which the last action was taken; without meaning before the first


@lru_cache(maxsize=1024)
def draw_lake(level: Level, seed: int) -> Lake:
    """Draw a random lake whose goal can be reached.

    Only `random()` is called on the generator: its sequence is the same in all versions of Python. On a level with `disjoint`, a lake comes
    from even seeds only (training) or from odd ones only (tests).
    """
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
        if _reachable(lake, level.depth) and not (level.disjoint and _split_of(lake) != seed % 2):
            return lake


def draw_mapping(pack_seed: int) -> tuple[int, ...]:
    """Draw the hidden mapping of a pack: the direction of each action, as indices into `DIRECTIONS`."""
    return MAPPINGS[int(Random(pack_seed).random() * len(MAPPINGS))]  # noqa: S311


def move(side: int, cell: int, direction: int) -> int:
    """Return the cell that a step leads to. At an edge that is the same cell."""
    row, column = cell // side + _OFFSETS[direction][0], cell % side + _OFFSETS[direction][1]
    return row * side + column if 0 <= row < side and 0 <= column < side else cell


def apply_action(moment: Moment, code: int, directions: tuple[int, ...]) -> Moment:
    """Return the moment after action `code` (1 to 4). `directions` is the mapping of the pack."""
    cell = moment.position
    return Moment(moment.lake, move(moment.lake.side, cell, directions[code - 1]), moment.turn + 1, code, cell)


def judge(moment: Moment) -> Verdict | None:
    """Return why play is over; None while it goes on."""
    if moment.position == moment.lake.goal:
        return "goal"
    if moment.position in moment.lake.holes:
        return "hole"
    return "turns" if moment.turn == moment.lake.turns else None


def goal_reward(turn: int, turns: int) -> float:
    """Return the reward for reaching the goal with action number `turn` of `turns`."""
    return 1.0 - STEP_COST * turn / turns


def _split_of(lake: Lake) -> int:
    """Return 0 for a lake for training and 1 for one for tests."""
    return crc32(bytes([lake.start, lake.goal, *sorted(lake.holes)])) % 2


def _reachable(lake: Lake, depth: int) -> bool:
    """Return whether the search of the paper finds the goal from the start within `depth` steps.

    The search is depth first and visits each cell once, so it can miss a path of the allowed length. A path that it finds is one.
    """
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
