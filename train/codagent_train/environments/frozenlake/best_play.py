"""Best play of FrozenLake-Obscure by a player who considers some of the 24 mappings possible, all equally likely.

The value of a state is computed exactly, by dynamic programming over (cell, belief, turns left).
"""

from __future__ import annotations

from codagent_train.environments.frozenlake.rules import CODES, MAPPINGS, Lake, Moment, apply_action, judge, move

Belief = int  # bit i is set while MAPPINGS[i] is possible
ANY_MAPPING: Belief = (1 << len(MAPPINGS)) - 1
_FAR = 1_000
# by action and direction: the mappings in which that action has that direction
MAPPINGS_WHERE = {(k, way): sum(1 << i for i, ways in enumerate(MAPPINGS) if ways[k - 1] == way) for k in CODES for way in range(4)}


class Solver:
    """Best play on one lake: reach the goal with the greatest probability in the turns that are left."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._next = [[move(lake.side, cell, way) for way in range(4)] for cell in range(lake.side * lake.side)]
        self._distance = self._find_distances()
        self._values: dict[tuple[int, Belief, int], float] = {}

    def distance(self, cell: int) -> int:
        """Return how many steps around the holes it takes from a cell to the goal; a large number when there is no way."""
        return self._distance.get(cell, _FAR)

    def value(self, cell: int, belief: Belief, turns: int) -> float:
        """Return the probability of reaching the goal."""
        if self.distance(cell) > turns:
            return 0.0  # also in a hole, which has no way to the goal
        if cell == self.lake.goal or belief.bit_count() == 1:
            return 1.0
        key = (cell, belief, turns)
        if key not in self._values:
            self._values[key] = max(self._expected_value(outcomes, turns) for outcomes in self._informative_outcomes(cell, belief))
        return self._values[key]

    def best_code(self, cell: int, belief: Belief, turns: int) -> int:
        """Return the action with the greatest probability of reaching the goal.

        Among equal actions it is the one with the most possible outcomes, and then the one that may lead nearest to the goal.
        """

        def merit(code: int) -> tuple[float, int, int]:
            outcomes = self._outcomes(cell, belief, code)
            return round(self._expected_value(outcomes, turns), 9), len(outcomes), -min(map(self.distance, outcomes))

        return max(CODES, key=merit)

    def _informative_outcomes(self, cell: int, belief: Belief) -> list[dict[int, Belief]]:
        """Return the outcomes of all actions, without those that certainly leave cell and belief as they are."""
        all_outcomes = [self._outcomes(cell, belief, code) for code in CODES]
        return [outcomes for outcomes in all_outcomes if len(outcomes) > 1 or cell not in outcomes]

    def _outcomes(self, cell: int, belief: Belief, code: int) -> dict[int, Belief]:
        """Return the cells that an action may lead to, each with the belief after that. Holes and edges tell as much as ice."""
        outcomes: dict[int, Belief] = {}
        for way, next_cell in enumerate(self._next[cell]):
            if remaining := belief & MAPPINGS_WHERE[code, way]:
                outcomes[next_cell] = outcomes.get(next_cell, 0) | remaining
        return outcomes

    def _expected_value(self, outcomes: dict[int, Belief], turns: int) -> float:
        weights = {cell: under.bit_count() for cell, under in outcomes.items()}
        return sum(weights[cell] * self.value(cell, under, turns - 1) for cell, under in outcomes.items()) / sum(weights.values())

    def _find_distances(self) -> dict[int, int]:
        distances = {self.lake.goal: 0}
        for cell in (queue := [self.lake.goal]):
            for near in self._next[cell]:
                if near not in distances and near not in self.lake.holes:
                    distances[near] = distances[cell] + 1
                    queue.append(near)
        return distances


def play_best(solver: Solver, directions: tuple[int, ...], belief: Belief) -> list[tuple[Moment, Belief]]:
    """Play a task with the best actions under `belief`, on the true mapping `directions`.

    Returns the moment after each action, with the belief that follows from it.
    """
    moment = Moment(solver.lake, solver.lake.start)
    trace = []
    while judge(moment) is None:
        code = solver.best_code(moment.position, belief, solver.lake.turns - moment.turn)
        moment = apply_action(moment, code, directions)
        belief = narrow(belief, moment)
        trace.append((moment, belief))
    return trace


def narrow(belief: Belief, moment: Moment) -> Belief:
    """Return the mappings in `belief` that agree with the last action of `moment`."""
    ways = [way for way in range(4) if move(moment.lake.side, moment.before, way) == moment.position]
    return sum(belief & MAPPINGS_WHERE[moment.code or 0, way] for way in ways)
