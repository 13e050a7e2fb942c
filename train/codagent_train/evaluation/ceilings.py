"""How well environments can be played without a model: at random, without notes, with all that was seen carried, and with all known.

For one lake of FrozenLake-Obscure the numbers are exact over the 24 mappings. Means over lakes and packs are estimates with 95 % intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from codagent_train.environments.domains.catalogue import DOMAINS
from codagent_train.environments.frozenlake.best_play import ANY_MAPPING, Solver, play_best
from codagent_train.environments.frozenlake.rules import Lake, Level, Moment, draw_lake, draw_mapping, goal_reward, judge, move
from codagent_train.environments.keycode import KEYS
from codagent_train.environments.make import LEVELS
from codagent_train.environments.packs import Pack
from codagent_train.intervals import Estimate, mean_interval, share_interval
from codagent_train.recipe.schema import EnvironmentConfig


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What can be reached on a sample of packs. Tuples have one entry for each position in a pack."""

    chance: Estimate  # success of random play
    no_notes: Estimate  # success of best play that knows nothing of the mapping
    success: tuple[Estimate, ...]  # of best play that remembers all tasks before
    reward: tuple[Estimate, ...]  # of the same play
    known_mapping: Estimate  # reward of best play that knows the mapping


@dataclass(frozen=True, slots=True)
class Reached:
    """What a player without a model reaches at one position of a pack."""

    reward: Estimate
    success: Estimate


def measure_players(config: EnvironmentConfig, packs: Sequence[Pack]) -> dict[str, tuple[Reached, ...]]:
    """Let each player of a domain play these packs, at least two. Returns its results by position."""
    measured = {}
    for name, play in DOMAINS[config.name].players.items():
        by_position = zip(*(play(config.level, pack) for pack in packs), strict=True)
        measured[name] = tuple(
            Reached(mean_interval([score.reward for score in scores]), share_interval([float(score.passed) for score in scores]))
            for scores in by_position
        )
    return measured


def rewards_by_player(config: EnvironmentConfig, packs: Sequence[Pack]) -> dict[str, tuple[Estimate, ...]]:
    """Return the rewards that can be reached on these packs without a model, by position, by the name of the player."""
    positions = len(packs[0].tasks)
    if config.name == "keycode":
        guess = Estimate(1 / len(KEYS), 0.0)
        return {"scratch": (guess,) * positions, "carry": (guess, *[Estimate(1.0, 0.0)] * (positions - 1))}
    if config.name == "frozenlake":
        ceilings = compute_ceilings(LEVELS[config.level], packs)
        return {"carry": ceilings.reward, "known": (ceilings.known_mapping,) * positions}
    return {name: tuple(at.reward for at in reached) for name, reached in measure_players(config, packs).items()}


def compute_ceilings(level: Level, packs: Sequence[Pack]) -> Ceilings:
    """Compute what can be reached on these packs: at least two, with the same number of tasks."""
    chance, alone, known = [], [], []
    last_moments: list[list[Moment]] = [[] for _ in packs[0].tasks]
    for pack in packs:
        belief, solvers = ANY_MAPPING, [Solver(draw_lake(level, task.seed)) for task in pack.tasks]
        chance.append(fmean(chance_of_random_play(solver.lake) for solver in solvers))
        alone.append(fmean(solver.value(solver.lake.start, ANY_MAPPING, level.turns) for solver in solvers))
        known.append(fmean(goal_reward(solver.distance(solver.lake.start), level.turns) for solver in solvers))
        for solver, at_position in zip(solvers, last_moments, strict=True):
            last, belief = play_best(solver, draw_mapping(pack.seed), belief)[-1]
            at_position.append(last)
    success = [[float(judge(end) == "goal") for end in at_position] for at_position in last_moments]
    reward = [[goal_reward(end.turn, level.turns) * (judge(end) == "goal") for end in at_position] for at_position in last_moments]
    return Ceilings(
        mean_interval(chance),
        mean_interval(alone),
        tuple(map(share_interval, success)),
        tuple(map(mean_interval, reward)),
        mean_interval(known),
    )


def chance_of_random_play(lake: Lake) -> float:
    """Return the exact probability that random actions reach the goal."""
    reached, chances = 0.0, {lake.start: 1.0}
    for _ in range(lake.turns):
        next_chances: dict[int, float] = {}
        for cell, part in chances.items():
            for way in range(4):
                near = move(lake.side, cell, way)
                if near not in lake.holes:
                    next_chances[near] = next_chances.get(near, 0.0) + part / 4
        reached += next_chances.pop(lake.goal, 0.0)
        chances = next_chances
    return reached
