"""How well grid navigation can be played: the best route over a map that is known or guessed.

numpy is imported where it is used, because recipes are read without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from codagent_train.environments.domains.grid.cost_map import LEVELS, Cell, Trip, crossed, draw_costs, draw_trip, seen_from
from codagent_train.environments.domains.shared.domain import PlayPack, Score
from codagent_train.environments.domains.shared.draws import Draws
from codagent_train.environments.packs import Pack

_USUAL_COST = 25.0  # of a cell of which nothing is known; about the mean of all maps


class Router:
    """Finds the route of the least mean cost on square maps of one side. A cell's number is row * side + column."""

    def __init__(self, side: int) -> None:
        import numpy as np

        self._side, cells = side, [(row, column) for row in range(side) for column in range(side)]
        moves = [(cell, target) for cell in cells for target in cells if (cell[0] == target[0]) != (cell[1] == target[1])]
        self._targets = np.array([row * side + column for _, (row, column) in moves]).reshape(len(cells), -1)
        entered = np.zeros((len(moves), len(cells)))
        for number, (cell, target) in enumerate(moves):
            entered[number, [row * side + column for row, column in crossed(cell, target)]] = 1
        self._entered = entered

    def find_move(self, trip: Trip, costs: Any) -> tuple[Cell, float]:
        """Return the next move of the best route to the goal, and the mean cost of the whole trip on it.

        `costs` is a (side * side,) float64 array. The route has exactly the rounds that are left. The mean of a whole route is minimised by
        Dinkelbach's method: routes of least cost, where each entered cell costs `mean` less, until the mean stays.
        """
        import numpy as np

        start, goal = (row * self._side + column for row, column in (trip.position, trip.goal))
        whole, lengths = ((self._entered @ value).reshape(self._targets.shape) for value in (costs, np.ones(len(costs))))
        mean, move = float(costs.max()), 0
        while True:
            values = np.full(len(costs), np.inf)
            values[goal] = 0.0
            choices = []
            for _ in range(trip.rounds - trip.round):
                totals = whole - mean * lengths + values[self._targets]
                choices.append(totals.argmin(axis=1))
                values = totals.min(axis=1)
            cell, spent, entered = start, float(trip.spent), float(trip.entered)
            for choice in reversed(choices):
                spent, entered = spent + whole[cell, choice[cell]], entered + lengths[cell, choice[cell]]
                cell = self._targets[cell, choice[cell]]
            move, before, mean = int(self._targets[start, choices[-1][start]]), mean, spent / entered
            if mean >= before - 1e-9:
                return divmod(move, self._side), mean


@lru_cache(maxsize=32)
def _router(side: int) -> Router:
    return Router(side)


def _play(kind: str) -> PlayPack:
    def play(level_name: str, pack: Pack) -> list[Score]:
        import numpy as np

        level = LEVELS[level_name]
        costs, shown, scores = draw_costs(level, pack.seed), set[Cell](), []
        true = np.array([float(grade * costs.unit) for row in costs.grades for grade in row])
        for position, task in enumerate(pack.tasks):
            trip, shown, draws = draw_trip(level, costs, task.seed), shown if kind == "carry" else set(), Draws(task.seed + 1 + position)
            while trip.round < trip.rounds:
                target = _choose(kind, trip, true, shown, draws)
                shown |= seen_from(crossed(trip.position, target), costs.side)
                trip = trip.move(target)
            scores.append(Score(trip.reward, trip.arrived))
        return scores

    return play


def _choose(kind: str, trip: Trip, true: Any, shown: set[Cell], draws: Draws) -> Cell:
    """Choose a move: at random, or the best one on the map as the player knows or guesses it."""
    import numpy as np

    side = trip.costs.side
    if kind == "random":
        cells = [(row, column) for row in range(side) for column in range(side)]
        return draws.choice([cell for cell in cells if trip.allows(cell)])
    known = np.array([(row, column) in shown for row in range(side) for column in range(side)])
    if kind == "known":
        guess = true
    elif kind == "blind":
        guess = np.array([_USUAL_COST + 1e-3 * draws.normal() for _ in true])
    else:
        guess = np.where(known, true, true[known].mean() if known.any() else _USUAL_COST)
    return _router(side).find_move(trip, guess)[0]


PLAYERS: Mapping[str, PlayPack] = {kind: _play(kind) for kind in ("random", "blind", "scratch", "carry", "known")}
