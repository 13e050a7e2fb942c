"""Reports on packs of FrozenLake-Obscure: rewards, success and notes by position, beside what can be reached.

One pack is one observation: its loops share lakes and mapping, so their mean is taken first. The 95 % intervals are over packs, which
gives clustered standard errors (Miller 2024, arXiv 2411.00640). This module works on recorded loops and needs no model.
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
from codagent_train.recipe.environment_config import Packing

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
    """What is played, and with whose notes."""

    level: str = "easy"  # a key of `LEVELS`
    tasks: int = 4  # in a pack
    packing: Packing = "cod"  # "cod": different tasks; "ralph": the first task of the pack again and again
    notes: Notes = "own"  # "shuffled": of another pack; "frozen": what the untrained model wrote for the same pack

    def __str__(self) -> str:
        return f"{self.level}, {self.tasks} tasks{_PACKING_TEXT[self.packing]}{_NOTES_TEXT[self.notes]}"

    def repack(self, pack: Pack) -> Pack:
        """Return the pack as it is played in this setting."""
        return pack if self.packing == "cod" else replace(pack, tasks=pack.tasks[:1] * self.tasks)


SETTINGS = tuple(Setting(level, tasks, packing) for level in ("easy", "hard") for tasks in (4, 8) for packing in ("cod", "ralph"))


@dataclass(frozen=True, slots=True)
class PackResult:
    """A test pack and the loops that were played on it."""

    number: int
    pack: Pack
    loops: tuple[Loop, ...]


@dataclass(frozen=True, slots=True)
class NotesAccuracy:
    """How good the notes are that attempts at one position began with."""

    whole: Estimate  # share of notes that give the true mapping
    right: Estimate  # share of the four directions that the notes have right
    wrong: Estimate  # share of the four directions that the notes have wrong


@dataclass(frozen=True, slots=True)
class Report:
    """The results of one target in one setting. Tuples have one entry for each position in a pack."""

    player: str  # the name of the weights
    setting: Setting
    packs: int
    loops: int  # that were played to their end
    broken_off: int  # other loops, which no number of this report counts
    formless: int  # attempts that ended with an answer that has no valid form
    reward: tuple[Estimate, ...]
    success: tuple[Estimate, ...]
    gain: Estimate  # reward at the last position less that at the first, in the same pack
    notes: tuple[NotesAccuracy, ...]
    ceilings: Ceilings


def make_report(player: str, setting: Setting, results: Sequence[PackResult]) -> Report:
    """Make the report. Raises UsageError when fewer than two packs have a loop that was played to its end."""
    complete = drop_broken_off(results)
    if len(complete) < 2:
        raise UsageError(f"{len(complete)} of {len(results)} packs have a loop that was played to its end; a report needs at least 2")
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
        formless=sum("form" in outcome.failed for by_pack in attempts for episodes in by_pack for outcome in _outcomes(episodes)),
        reward=tuple(map(mean_interval, reward)),
        success=tuple(map(share_interval, success)),
        gain=mean_interval([last - first for first, last in zip(reward[0], reward[-1], strict=True)]),
        notes=tuple(_notes_accuracy(by_pack, mappings) for by_pack in attempts),
        ceilings=compute_ceilings(LEVELS[setting.level], [result.pack for result in complete]),
    )


def drop_broken_off(results: Sequence[PackResult]) -> list[PackResult]:
    """Leave out the loops that were broken off, and packs that have no other loops."""
    complete = [replace(result, loops=tuple(loop for loop in result.loops if episode_rewards(loop))) for result in results]
    return [result for result in complete if result.loops]


def _solve_episodes(result: PackResult, position: int) -> list[Episode]:
    return [episode for loop in result.loops for episode in loop.episodes if episode.kind == "solve" and episode.position == position]


def _outcomes(episodes: Sequence[Episode]) -> list[Outcome]:
    return [episode.outcome for episode in episodes if episode.outcome]


def _notes_accuracy(packs: Sequence[Sequence[Episode]], mappings: Sequence[tuple[int, ...]]) -> NotesAccuracy:
    """Measure the notes that the episodes of each pack began with. `packs` and `mappings` have one entry for each pack."""
    accuracies = [[score_notes(episode.notes_before, ways) for episode in episodes] for episodes, ways in zip(packs, mappings, strict=True)]
    return NotesAccuracy(
        share_interval([fmean(accuracy.is_complete for accuracy in episodes) for episodes in accuracies]),
        share_interval([fmean(accuracy.right / len(CODES) for accuracy in episodes) for episodes in accuracies]),
        share_interval([fmean(accuracy.wrong / len(CODES) for accuracy in episodes) for episodes in accuracies]),
    )
