"""Best play of FrozenLake-Obscure, exact over the 24 mappings: what a player does who believes some of them possible."""

from __future__ import annotations

from codagent_train.environments.frozenlake.rules import CODES, MAPPINGS, Lake, Moment, apply_action, judge, move

Belief = int  # a bit for each of MAPPINGS that is still possible
ANY_MAPPING: Belief = (1 << len(MAPPINGS)) - 1
_FAR = 1_000
# of a code and a direction: the mappings by which the one moves in the other
_MAPPINGS_WHERE = {(k, way): sum(1 << i for i, ways in enumerate(MAPPINGS) if ways[k - 1] == way) for k in CODES for way in range(4)}


class Solver:
    """Best play on one lake under a belief about the mapping, to reach the goal as surely as possible in the turns that are left."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._next = [[move(lake.side, cell, way) for way in range(4)] for cell in range(lake.side * lake.side)]
        self._distance = self._find_distances()
        self._values: dict[tuple[int, Belief, int], float] = {}

    def distance(self, cell: int) -> int:
        """How many steps it is to the goal, around the holes."""
        return self._distance.get(cell, _FAR)

    def value(self, cell: int, belief: Belief, turns: int) -> float:
        """The chance to reach the goal."""
        if self.distance(cell) > turns:
            return 0.0  # holes among them
        if cell == self.lake.goal or belief.bit_count() == 1:
            return 1.0
        key = (cell, belief, turns)
        if key not in self._values:
            self._values[key] = max(self._expected_value(outcomes, turns) for outcomes in self._informative_outcomes(cell, belief))
        return self._values[key]

    def best_code(self, cell: int, belief: Belief, turns: int) -> int:
        """The code with the greatest chance; of several the one that tells most, of these the one that may lead nearest to the goal."""

        def merit(code: int) -> tuple[float, int, int]:
            outcomes = self._outcomes(cell, belief, code)
            return round(self._expected_value(outcomes, turns), 9), len(outcomes), -min(map(self.distance, outcomes))

        return max(CODES, key=merit)

    def _informative_outcomes(self, cell: int, belief: Belief) -> list[dict[int, Belief]]:
        """The outcomes of all codes but those that are known to change nothing."""
        all_outcomes = [self._outcomes(cell, belief, code) for code in CODES]
        return [outcomes for outcomes in all_outcomes if len(outcomes) > 1 or cell not in outcomes]

    def _outcomes(self, cell: int, belief: Belief, code: int) -> dict[int, Belief]:
        """Where a code may lead, with the belief that follows from it; holes and edges tell as much as ice."""
        outcomes: dict[int, Belief] = {}
        for way, next_cell in enumerate(self._next[cell]):
            if remaining := belief & _MAPPINGS_WHERE[code, way]:
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
    """Best play of one task by who believes `belief` of the true `directions`: each moment after an action, and what is believed then."""
    moment = Moment(solver.lake, solver.lake.start)
    trace = []
    while judge(moment) is None:
        code = solver.best_code(moment.position, belief, solver.lake.turns - moment.turn)
        moment = apply_action(moment, code, directions)
        belief = narrow(belief, moment)
        trace.append((moment, belief))
    return trace


def narrow(belief: Belief, moment: Moment) -> Belief:
    """What remains possible after the last action of `moment`."""
    ways = [way for way in range(4) if move(moment.lake.side, moment.before, way) == moment.position]
    return sum(belief & _MAPPINGS_WHERE[moment.code or 0, way] for way in ways)
