"""The teacher of FrozenLake-Obscure. It sees the whole lake; of the mapping it knows what notes tell and what it observes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp

from codagent_train.environments.frozenlake import words
from codagent_train.environments.frozenlake.best_play import ANY_MAPPING, MAPPINGS_WHERE, Belief, Solver, narrow
from codagent_train.environments.frozenlake.environment import FrozenLake
from codagent_train.environments.frozenlake.rules import CODES, DIRECTIONS, draw_mapping, move

DISCOUNT, TEMPERATURE = 0.9, 0.02  # of the value of a cell, and of the choice among actions by their values


class LakeTeacher:
    """A Teacher of one task of a pack, which is played in `lakes`."""

    facts = words.RESULTS
    asides = (*words.BEARINGS, *words.SURROUNDINGS)

    def __init__(self, lakes: FrozenLake, pack_seed: int) -> None:
        self._lakes, self._mapping = lakes, draw_mapping(pack_seed)
        self.truths = tuple(f"{code}>{DIRECTIONS[self._mapping[code - 1]]}" for code in CODES)
        self._belief = ANY_MAPPING
        self._solver: Solver | None = None  # None: the task was not begun

    def weigh_answers(self, notes: Sequence[str], told: Sequence[str]) -> Mapping[str, float]:
        del told
        moment = self._lakes.moment
        self._belief = narrow(self._belief, moment) if moment.turn else believe(notes, self._mapping)
        self._solver = self._solver or Solver(moment.lake)
        values = action_values(self._solver, moment.position, self._belief)
        weights = [exp((value - max(values)) / TEMPERATURE) for value in values]
        return dict(zip(words.ACTIONS, weights, strict=True))


def believe(notes: Sequence[str], mapping: Sequence[int]) -> Belief:
    """Return the belief of a reader who takes the true pairs of the notes and ignores the false ones."""
    belief = ANY_MAPPING
    for code in CODES:
        if f"{code}>{DIRECTIONS[mapping[code - 1]]}" in notes:
            belief &= MAPPINGS_WHERE[code, mapping[code - 1]]
    return belief


def action_values(solver: Solver, cell: int, belief: Belief) -> list[float]:
    """Return the value of each action when the mapping is drawn from the belief and known from the next turn on (QMDP).

    An action that certainly stays in the cell is worth nothing: such a player would else bump into an edge until its turns are over, for
    fear of a hole, since it believes that it will soon know more.
    """
    near = [move(solver.lake.side, cell, way) for way in range(len(DIRECTIONS))]
    values = [0.0 if other in solver.lake.holes else DISCOUNT ** solver.distance(other) for other in near]
    chances = [[(belief & MAPPINGS_WHERE[code, way]).bit_count() / belief.bit_count() for way in range(len(DIRECTIONS))] for code in CODES]
    return [
        sum(chance * value for chance, value in zip(by_way, values, strict=True))
        if any(chance for chance, other in zip(by_way, near, strict=True) if other != cell)
        else 0.0
        for by_way in chances
    ]
