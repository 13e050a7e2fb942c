"""Best play of FrozenLake-Obscure, exact over the 24 mappings: what a player does who believes some of them possible."""

from __future__ import annotations

from codagent_train.environments.frozenlake.rules import CODES, MAPPINGS, Lake, Moment, moved, played, verdict

Belief = int  # a bit for each of MAPPINGS that is still possible
ANY: Belief = (1 << len(MAPPINGS)) - 1
_FAR = 1_000
# of a code and a direction: the mappings by which the one moves in the other
_WHERE = {(k, way): sum(1 << i for i, ways in enumerate(MAPPINGS) if ways[k - 1] == way) for k in CODES for way in range(4)}


class Solver:
    """Best play on one lake under a belief about the mapping, to reach the goal as surely as possible in the turns that are left."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._next = [[moved(lake.side, cell, way) for way in range(4)] for cell in range(lake.side * lake.side)]
        self._distance = self._distances()
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
            self._values[key] = max(self._worth(outcomes, turns) for outcomes in self._telling(cell, belief))
        return self._values[key]

    def best(self, cell: int, belief: Belief, turns: int) -> int:
        """The code with the greatest chance; of several the one that tells most, of these the one that may lead nearest to the goal."""

        def merit(code: int) -> tuple[float, int, int]:
            outcomes = self._outcomes(cell, belief, code)
            return round(self._worth(outcomes, turns), 9), len(outcomes), -min(map(self.distance, outcomes))

        return max(CODES, key=merit)

    def _telling(self, cell: int, belief: Belief) -> list[dict[int, Belief]]:
        """The outcomes of all codes but those that are known to change nothing."""
        every = [self._outcomes(cell, belief, code) for code in CODES]
        return [outcomes for outcomes in every if len(outcomes) > 1 or cell not in outcomes]

    def _outcomes(self, cell: int, belief: Belief, code: int) -> dict[int, Belief]:
        """Where a code may lead, with the belief that follows from it; holes and edges tell as much as ice."""
        found: dict[int, Belief] = {}
        for way, there in enumerate(self._next[cell]):
            if under := belief & _WHERE[code, way]:
                found[there] = found.get(there, 0) | under
        return found

    def _worth(self, outcomes: dict[int, Belief], turns: int) -> float:
        weights = {cell: under.bit_count() for cell, under in outcomes.items()}
        return sum(weights[cell] * self.value(cell, under, turns - 1) for cell, under in outcomes.items()) / sum(weights.values())

    def _distances(self) -> dict[int, int]:
        found = {self.lake.goal: 0}
        for cell in (queue := [self.lake.goal]):
            for near in self._next[cell]:
                if near not in found and near not in self.lake.holes:
                    found[near] = found[cell] + 1
                    queue.append(near)
        return found


def play(solver: Solver, directions: tuple[int, ...], belief: Belief) -> list[tuple[Moment, Belief]]:
    """Best play of one task by who believes `belief` of the true `directions`: each moment after an action, and what is believed then."""
    moment = Moment(solver.lake, solver.lake.start)
    told = []
    while verdict(moment) is None:
        code = solver.best(moment.position, belief, solver.lake.turns - moment.turn)
        moment = played(moment, code, directions)
        belief = narrowed(belief, moment)
        told.append((moment, belief))
    return told


def narrowed(belief: Belief, moment: Moment) -> Belief:
    """What remains possible after the last action of `moment`."""
    ways = [way for way in range(4) if moved(moment.lake.side, moment.before, way) == moment.position]
    return sum(belief & _WHERE[moment.code or 0, way] for way in ways)
