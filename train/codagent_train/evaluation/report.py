"""How well packs of FrozenLake-Obscure were played: by position, beside what chance and perfect play reach, with what the notes knew.

The unit is the pack: its loops share lakes and mapping, so they are averaged first, and the 95 % intervals are over packs (clustered
standard errors, Miller 2024, arXiv 2411.00640). Knows of no model; what is played are codagent's Loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from codagent.errors import UsageError
from codagent.types import Episode, Loop, Outcome
from codagent_train.data.credit import episode_rewards
from codagent_train.environments.frozenlake.rules import CODES, draw_mapping
from codagent_train.environments.make import LEVELS
from codagent_train.environments.packs import Pack
from codagent_train.evaluation.ceilings import Ceilings, compute_ceilings
from codagent_train.evaluation.notes_parser import score_notes
from codagent_train.intervals import Estimate, mean_interval, share_interval

Packing = Literal["cod", "ralph"]
Notes = Literal["own", "none", "shuffled", "frozen"]
_PACKING_TEXT = {"cod": "", "ralph": ", the same task again and again"}
_NOTES_TEXT = {
    "own": "",
    "none": ", without notes",
    "shuffled": ", with notes of other packs",
    "frozen": ", with the untrained model's notes",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """What is played, `level` being one of `LEVELS`, and whose notes it is played with. By `ralph` packing, a pack is its first task
    `tasks` times. `shuffled` notes are those of another pack, `frozen` ones those that the untrained model wrote for the same pack."""

    level: str = "easy"
    tasks: int = 4
    packing: Packing = "cod"
    notes: Notes = "own"

    def __str__(self) -> str:
        return f"{self.level}, {self.tasks} tasks{_PACKING_TEXT[self.packing]}{_NOTES_TEXT[self.notes]}"

    def repack(self, pack: Pack) -> Pack:
        """A pack of as many tasks, as it is played."""
        return pack if self.packing == "cod" else replace(pack, tasks=pack.tasks[:1] * self.tasks)


SETTINGS = tuple(Setting(level, tasks, packing) for level in ("easy", "hard") for tasks in (4, 8) for packing in ("cod", "ralph"))


@dataclass(frozen=True, slots=True)
class PackResult:
    """A test pack, its number, and the loops over it, as many as there were seeds."""

    number: int
    pack: Pack
    loops: tuple[Loop, ...]


@dataclass(frozen=True, slots=True)
class NotesAccuracy:
    """The notes that episodes at one position began with: the share that told the mapping, the share of the four directions that they
    had right, and the share that they had wrong."""

    whole: Estimate
    right: Estimate
    wrong: Estimate


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
    notes: tuple[NotesAccuracy, ...]
    ceilings: Ceilings


def make_report(player: str, setting: Setting, played: Sequence[PackResult]) -> Report:
    """The report on at least two packs; UsageError when fewer have a whole loop."""
    kept = drop_broken_off(played)
    if len(kept) < 2:
        raise UsageError(f"{len(kept)} of {len(played)} packs have loops that were played to their end; an interval takes at least 2")
    loops = sum(len(each.loops) for each in kept)
    solved = [[_solve_episodes(each, position) for each in kept] for position in range(setting.tasks)]
    reward = [[fmean(one.reward for one in _outcomes(there)) for there in at] for at in solved]
    success = [[fmean(one.passed for one in _outcomes(there)) for there in at] for at in solved]
    mappings = [draw_mapping(each.pack.seed) for each in kept]
    return Report(
        player=player,
        setting=setting,
        packs=len(kept),
        loops=loops,
        broken_off=sum(len(each.loops) for each in played) - loops,
        reward=tuple(map(mean_interval, reward)),
        success=tuple(map(share_interval, success)),
        gain=mean_interval([last - first for first, last in zip(reward[0], reward[-1], strict=True)]),
        notes=tuple(_notes_accuracy(at, mappings) for at in solved),
        ceilings=compute_ceilings(LEVELS[setting.level], [each.pack for each in kept]),
    )


def drop_broken_off(results: Sequence[PackResult]) -> list[PackResult]:
    """Without the loops that were broken off, and the packs that have no others."""
    complete = [replace(result, loops=tuple(loop for loop in result.loops if episode_rewards(loop))) for result in results]
    return [result for result in complete if result.loops]


def _solve_episodes(result: PackResult, position: int) -> list[Episode]:
    return [episode for loop in result.loops for episode in loop.episodes if episode.kind == "solve" and episode.position == position]


def _outcomes(episodes: Sequence[Episode]) -> list[Outcome]:
    return [episode.outcome for episode in episodes if episode.outcome]


def _notes_accuracy(packs: Sequence[Sequence[Episode]], mappings: Sequence[tuple[int, ...]]) -> NotesAccuracy:
    """Of the notes that the episodes of each pack began with."""
    read = [[score_notes(episode.notes_before, ways) for episode in there] for there, ways in zip(packs, mappings, strict=True)]
    return NotesAccuracy(
        share_interval([fmean(one.whole for one in there) for there in read]),
        share_interval([fmean(one.right / len(CODES) for one in there) for there in read]),
        share_interval([fmean(one.wrong / len(CODES) for one in there) for there in read]),
    )
