"""How well FrozenLake-Obscure can be played: by chance, without notes, by a player who carries all that it has seen, with everything known.

Exact over the 24 mappings for a single lake; means over lakes and packs are sampled and come with their 95 % margins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from codagent_train.environments.frozenlake import pack
from codagent_train.environments.lakes import MAPPINGS, Lake, Level, Moment, lake, mapping, moved, played, shaped, verdict

Belief = int  # a bit for each of MAPPINGS that is still possible
ANY: Belief = (1 << len(MAPPINGS)) - 1
CODES = (1, 2, 3, 4)
_FAR = 1_000
# of a code and a direction: the mappings by which the one moves in the other
_WHERE = {(k, way): sum(1 << i for i, ways in enumerate(MAPPINGS) if ways[k - 1] == way) for k in CODES for way in range(4)}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over a sample, and half the width of its 95 % interval."""

    mean: float
    margin: float


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Success by `chance`, `alone` without notes, and by position with all `carried`; the `reward` of that, and with all `known`."""

    chance: Estimate
    alone: Estimate
    carried: tuple[Estimate, ...]
    reward: tuple[Estimate, ...]
    known: Estimate


def ceilings(level: Level, packs: int, *, tasks: int = 4) -> Ceilings:
    """Over that many training packs, at least two."""
    chance, alone, known = [], [], []
    ends: list[list[Moment]] = [[] for _ in range(tasks)]
    for number in range(packs):
        drawn, belief = pack(level, "train", number, tasks=tasks), ANY
        for position, task in enumerate(drawn.tasks):
            solver = Solver(lake(level, task.seed))
            chance.append(by_chance(solver.lake))
            alone.append(solver.value(solver.lake.start, ANY, level.turns))
            known.append(shaped(solver.distance(solver.lake.start), level.turns))
            last, belief = play(solver, mapping(drawn.seed), belief)[-1]
            ends[position].append(last)
    carried = [[verdict(end) == "goal" for end in there] for there in ends]
    reward = [[shaped(end.turn, level.turns) * (verdict(end) == "goal") for end in there] for there in ends]
    return Ceilings(_estimate(chance), _estimate(alone), tuple(map(_share, carried)), tuple(map(_estimate, reward)), _estimate(known))


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


def by_chance(lake: Lake) -> float:
    """How often random actions reach the goal; exact."""
    reached, here = 0.0, {lake.start: 1.0}
    for _ in range(lake.turns):
        there: dict[int, float] = {}
        for cell, share in here.items():
            for way in range(4):
                near = moved(lake.side, cell, way)
                if near not in lake.holes:
                    there[near] = there.get(near, 0.0) + share / 4
        reached += there.pop(lake.goal, 0.0)
        here = there
    return reached


def _estimate(sample: Sequence[float]) -> Estimate:
    return Estimate(fmean(sample), 1.96 * stdev(sample) / sqrt(len(sample)))


def _share(sample: Sequence[bool]) -> Estimate:
    """Of yes and no; the margin is Agresti and Coull's, which is not 0 when all went well."""
    size = len(sample) + 4
    nearer = (sum(sample) + 2) / size
    return Estimate(fmean(sample), 1.96 * sqrt(nearer * (1 - nearer) / size))
