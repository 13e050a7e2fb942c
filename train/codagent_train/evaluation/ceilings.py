"""How well FrozenLake-Obscure can be played: by chance, without notes, by a player who carries all that it has seen, with everything known.

Exact over the 24 mappings for a single lake; means over lakes and packs are sampled and come with their 95 % margins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from codagent_train.environments.frozenlake.best_play import ANY, Solver, play
from codagent_train.environments.frozenlake.rules import Lake, Level, Moment, lake, mapping, moved, shaped, verdict
from codagent_train.environments.packs import Pack
from codagent_train.intervals import Estimate, estimate, share


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What packs give: success by `chance`, and of best play `alone`, without notes; `success` and `reward`, by position, of best play that
    carries all it has seen; the reward of best play with the mapping `known`."""

    chance: Estimate
    alone: Estimate
    success: tuple[Estimate, ...]
    reward: tuple[Estimate, ...]
    known: Estimate


def ceilings(level: Level, packs: Sequence[Pack]) -> Ceilings:
    """Of these very packs, at least two, all equally long."""
    chance, alone, known = [], [], []
    ends: list[list[Moment]] = [[] for _ in packs[0].tasks]
    for each in packs:
        belief, solvers = ANY, [Solver(lake(level, task.seed)) for task in each.tasks]
        chance.append(fmean(by_chance(solver.lake) for solver in solvers))
        alone.append(fmean(solver.value(solver.lake.start, ANY, level.turns) for solver in solvers))
        known.append(fmean(shaped(solver.distance(solver.lake.start), level.turns) for solver in solvers))
        for solver, there in zip(solvers, ends, strict=True):
            last, belief = play(solver, mapping(each.seed), belief)[-1]
            there.append(last)
    success = [[float(verdict(end) == "goal") for end in there] for there in ends]
    reward = [[shaped(end.turn, level.turns) * (verdict(end) == "goal") for end in there] for there in ends]
    return Ceilings(estimate(chance), estimate(alone), tuple(map(share, success)), tuple(map(estimate, reward)), estimate(known))


def by_chance(lake: Lake) -> float:
    """How often random actions reach the goal; exact."""
    reached, here = 0.0, {lake.start: 1.0}
    for _ in range(lake.turns):
        there: dict[int, float] = {}
        for cell, part in here.items():
            for way in range(4):
                near = moved(lake.side, cell, way)
                if near not in lake.holes:
                    there[near] = there.get(near, 0.0) + part / 4
        reached += there.pop(lake.goal, 0.0)
        here = there
    return reached
