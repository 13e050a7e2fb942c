"""How well packs of FrozenLake-Obscure were played: by position, beside what chance and perfect play reach, with what the notes knew.

The unit is the pack: its loops share lakes and mapping, so they are averaged first, and the 95 % intervals are over packs (clustered
standard errors, Miller 2024, arXiv 2411.00640). Knows of no model; what is played are codagent's Loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import fmean, pstdev, stdev
from typing import Literal

from codagent.errors import UsageError
from codagent.types import Episode, Loop, Outcome
from codagent_train.ceilings import ANY, Estimate, Solver, by_chance, play
from codagent_train.credit import rewards
from codagent_train.environments.frozenlake import pack
from codagent_train.environments.lakes import Moment, lake, mapping, shaped, verdict
from codagent_train.environments.packs import Pack
from codagent_train.readings import CODES, reading
from codagent_train.starts import LEVELS

_Z = 1.96


@dataclass(frozen=True, slots=True)
class Setting:
    """What is played. By `ralph` packing, a pack is its first task `tasks` times."""

    level: Literal["easy", "hard"] = "easy"
    tasks: int = 4
    packing: Literal["cod", "ralph"] = "cod"

    def __str__(self) -> str:
        return f"{self.level}, {self.tasks} tasks" + (", the same task again and again" if self.packing == "ralph" else "")

    def pack(self, number: int) -> Pack:
        """A test pack."""
        drawn = pack(LEVELS[self.level], "test", number, tasks=self.tasks)
        return drawn if self.packing == "cod" else replace(drawn, tasks=drawn.tasks[:1] * self.tasks)


SETTINGS = tuple(Setting(level, tasks, packing) for level in ("easy", "hard") for tasks in (4, 8) for packing in ("cod", "ralph"))


@dataclass(frozen=True, slots=True)
class Played:
    """A pack and the loops over it, as many as there were seeds."""

    pack: Pack
    loops: tuple[Loop, ...]


@dataclass(frozen=True, slots=True)
class Noted:
    """The notes that episodes at one position began with: the share that told the mapping, the share of the four directions that they
    had right, and the share that they had wrong."""

    whole: Estimate
    right: Estimate
    wrong: Estimate


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the same packs give: success by `chance`, and of best play `alone`, without notes; `success` and `reward`, by position, of best
    play that carries all it has seen; the reward of best play with the mapping `known`."""

    chance: Estimate
    alone: Estimate
    success: tuple[Estimate, ...]
    reward: tuple[Estimate, ...]
    known: Estimate


@dataclass(frozen=True, slots=True)
class Report:
    """One player in one setting. By position: reward, success, notes. `gain` is the reward at the last position less that at the first,
    compared within packs. `broken_off` loops count for nothing."""

    player: str
    setting: Setting
    packs: int
    loops: int
    broken_off: int
    reward: tuple[Estimate, ...]
    success: tuple[Estimate, ...]
    gain: Estimate
    notes: tuple[Noted, ...]
    bounds: Bounds


def report(player: str, setting: Setting, played: Sequence[Played]) -> Report:
    """The report on at least two packs; UsageError when fewer have a whole loop."""
    whole = [replace(each, loops=tuple(loop for loop in each.loops if rewards(loop))) for each in played]
    kept = [each for each in whole if each.loops]
    if len(kept) < 2:
        raise UsageError(f"{len(kept)} of {len(played)} packs have loops that were played to their end; an interval takes at least 2")
    loops = sum(len(each.loops) for each in kept)
    solved = [[_solved(each, position) for each in kept] for position in range(setting.tasks)]
    reward = [[fmean(one.reward for one in _outcomes(there)) for there in at] for at in solved]
    success = [[fmean(one.passed for one in _outcomes(there)) for there in at] for at in solved]
    mappings = [mapping(each.pack.seed) for each in kept]
    return Report(
        player=player,
        setting=setting,
        packs=len(kept),
        loops=loops,
        broken_off=sum(len(each.loops) for each in played) - loops,
        reward=tuple(map(estimate, reward)),
        success=tuple(map(share, success)),
        gain=estimate([last - first for first, last in zip(reward[0], reward[-1], strict=True)]),
        notes=tuple(_noted(at, mappings) for at in solved),
        bounds=bounds(setting, [each.pack for each in kept]),
    )


def bounds(setting: Setting, packs: Sequence[Pack]) -> Bounds:
    """What can be had of these very packs, at least two."""
    level = LEVELS[setting.level]
    chance, alone, known = [], [], []
    ends: list[list[Moment]] = [[] for _ in range(setting.tasks)]
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
    return Bounds(estimate(chance), estimate(alone), tuple(map(share, success)), tuple(map(estimate, reward)), estimate(known))


def estimate(packs: Sequence[float]) -> Estimate:
    """The mean of a number for each pack, at least two; its margin is normal, good from about 30 packs on."""
    return Estimate(fmean(packs), _Z * stdev(packs) / sqrt(len(packs)))


def share(packs: Sequence[float]) -> Estimate:
    """The mean of a share for each pack. The margin counts two packs of none and two of all beside them (Agresti and Coull 1998, carried
    over to shares between), and so is not 0 when all went alike."""
    return Estimate(fmean(packs), _Z * pstdev([*packs, 0, 0, 1, 1]) / sqrt(len(packs) + 4))


def _solved(played: Played, position: int) -> list[Episode]:
    return [episode for loop in played.loops for episode in loop.episodes if episode.kind == "solve" and episode.position == position]


def _outcomes(episodes: Sequence[Episode]) -> list[Outcome]:
    return [episode.outcome for episode in episodes if episode.outcome]


def _noted(packs: Sequence[Sequence[Episode]], mappings: Sequence[tuple[int, ...]]) -> Noted:
    """Of the notes that the episodes of each pack began with."""
    read = [[reading(episode.notes_before, ways) for episode in there] for there, ways in zip(packs, mappings, strict=True)]
    return Noted(
        share([fmean(one.whole for one in there) for there in read]),
        share([fmean(one.right / len(CODES) for one in there) for there in read]),
        share([fmean(one.wrong / len(CODES) for one in there) for there in read]),
    )
