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


def make_report(player: str, setting: Setting, results: Sequence[PackResult]) -> Report:
    """The report on at least two packs; UsageError when fewer have a whole loop."""
    complete = drop_broken_off(results)
    if len(complete) < 2:
        raise UsageError(f"{len(complete)} of {len(results)} packs have loops that were played to their end; an interval takes at least 2")
    loops = sum(len(result.loops) for result in complete)
    attempts = [[_solve_episodes(result, position) for result in complete] for position in range(setting.tasks)]
    reward = [[fmean(outcome.reward for outcome in _outcomes(episodes)) for episodes in by_pack] for by_pack in attempts]
    success = [[fmean(outcome.passed for outcome in _outcomes(episodes)) for episodes in by_pack] for by_pack in attempts]
    mappings = [draw_mapping(result.pack.seed) for result in complete]
    return Report(
        player=player,
        setting=setting,
        packs=len(complete),
        loops=loops,
        broken_off=sum(len(result.loops) for result in results) - loops,
        reward=tuple(map(mean_interval, reward)),
        success=tuple(map(share_interval, success)),
        gain=mean_interval([last - first for first, last in zip(reward[0], reward[-1], strict=True)]),
        notes=tuple(_notes_accuracy(by_pack, mappings) for by_pack in attempts),
        ceilings=compute_ceilings(LEVELS[setting.level], [result.pack for result in complete]),
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
    accuracies = [[score_notes(episode.notes_before, ways) for episode in episodes] for episodes, ways in zip(packs, mappings, strict=True)]
    return NotesAccuracy(
        share_interval([fmean(accuracy.whole for accuracy in episodes) for episodes in accuracies]),
        share_interval([fmean(accuracy.right / len(CODES) for accuracy in episodes) for episodes in accuracies]),
        share_interval([fmean(accuracy.wrong / len(CODES) for accuracy in episodes) for episodes in accuracies]),
    )
