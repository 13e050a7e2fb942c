"""Evaluations: a player rolls out test packs, setting by setting, and each is reported on.

What is drawn for a reply follows from the setting, the pack and the number of the loop, and from nothing of the player: any two are
compared on the same draws, and so are a player's own notes and others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from codagent.errors import UsageError
from codagent.loop import Carry
from codagent.types import Loop, Profile
from codagent_train.environments.make import LEVELS, make_pack
from codagent_train.environments.packs import Pack, seed_of
from codagent_train.evaluation import notes_conditions
from codagent_train.evaluation.notes_conditions import NotesByPack
from codagent_train.evaluation.report import SETTINGS, Notes, PackResult, Report, Setting, make_report
from codagent_train.evaluation.target import EvalTarget, untrained_target
from codagent_train.recipe.schema import EnvironmentConfig
from codagent_train.rollout.rollout import rollout
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import RolloutSpec, agent_profile

LOOPS_AT_ONCE = 128  # loops that are played side by side, each in a thread

Say = Callable[[str], None]
OpenTarget = Callable[[EvalTarget], tuple[Sampler, Profile]]  # a player at work, and how it is worked with


@dataclass(frozen=True, slots=True)
class EvalSize:
    """How much is played in a setting: the first `packs` test packs, each by `loops` loops."""

    packs: int
    loops: int


def choose_settings(place: EnvironmentConfig, given: Mapping[str, Any], *, notes: Notes, every: bool = False) -> list[Setting]:
    """The setting of a recipe's place, but with the fields that are `given`; with `every`, those of `SETTINGS` that have these fields.

    UsageError when there is no such level, or none has them.
    """
    if given.get("level", place.level) not in LEVELS:
        raise UsageError(f"there is no level {given['level']!r}; take one of {', '.join(LEVELS)}")
    if not every:
        return [Setting(**{"level": place.level, "tasks": place.tasks, **given}, notes=notes)]
    found = [replace(one, notes=notes) for one in SETTINGS if all(getattr(one, name) == value for name, value in given.items())]
    if not found:
        raise UsageError("--all plays easy and hard lakes in packs of 4 and 8 tasks, and nothing else; leave it out for one setting")
    return found


def evaluate(player: EvalTarget, settings: Sequence[Setting], size: EvalSize, *, say: Say, opener: OpenTarget) -> Iterator[Report]:
    """A report on each setting, as soon as it is played. For frozen notes the untrained player writes them first, for all settings."""
    own = [replace(setting, notes="own") for setting in settings if setting.notes == "frozen"]
    written = _write_notes(EvalSession(untrained_target(player), opener, say), own, size) if own else {}
    stage = EvalSession(player, opener, say)
    for setting in settings:
        yield make_report(player.name, setting, _play_setting(stage, setting, size, written))


def open_target(player: EvalTarget) -> tuple[Sampler, Profile]:
    """A player with its weights on their device. UsageError when one of these is not there."""
    import torch

    from codagent_train.policy.load import load_policy
    from codagent_train.rollout.engines.transformers_loop import LocalEngine

    recipe, given = player.recipe, player.recipe.policy
    if given.device == "cuda" and not torch.cuda.is_available():
        raise UsageError(f'{player.name} is asked on cuda, and there is none here; give a --recipe with device = "cpu" in [policy]')
    loaded = load_policy(given, seed=recipe.seed)
    engine = LocalEngine(loaded.model.to(given.device), pad=loaded.pad, ends=loaded.ends)
    return Sampler(engine, loaded.tokenizer, player.name, recipe.replies.temperature), agent_profile(recipe)


class EvalSession:
    """Where a player plays. Its weights are held as long as this is; `say` hears how far it has come."""

    def __init__(self, player: EvalTarget, opener: OpenTarget, say: Say) -> None:
        self._target, self._say = player, say
        self._sampler, self._profile = opener(player)

    def play(self, setting: Setting, cast: NotesByPack) -> list[PackResult]:
        """The packs with their loops, of which only what reports need is kept: not what was said, for that is most of them."""
        packs, starts = {}, []
        for number, carries in cast.items():
            packs[number], there = self._specs(setting, number, carries)
            starts += there
        loops: list[Loop] = []
        for first in range(0, len(starts), LOOPS_AT_ONCE):
            self._say(f"{self._target.name} on {setting}: {first} of {len(starts)} loops played")
            loops += map(_without_messages, rollout(self._sampler, starts[first : first + LOOPS_AT_ONCE], self._profile))
        rest = iter(loops)
        return [PackResult(number, packs[number], tuple(islice(rest, len(carries)))) for number, carries in cast.items()]

    def _specs(self, setting: Setting, number: int, carries: Sequence[Carry]) -> tuple[Pack, list[RolloutSpec]]:
        recipe = self._target.recipe
        level: Any = setting.level
        place = replace(recipe.environment, level=level, tasks=setting.tasks)
        found, environment = make_pack(replace(recipe, environment=place), "test", number)
        pack, starts = setting.repack(found), []
        for member, carry in enumerate(carries):
            loop = Loop(f"{number}-{member}", str(number), f"{place.name}-{pack.seed}", self._target.name, "")
            seed = seed_of("test", "replies", setting.level, setting.tasks, setting.packing, number, member)
            starts.append(RolloutSpec(loop, environment(), pack.tasks, seed, carry))
        return pack, starts


def _write_notes(stage: EvalSession, settings: Sequence[Setting], size: EvalSize) -> dict[Setting, list[PackResult]]:
    return {setting: _play_setting(stage, setting, size, {}) for setting in settings}


def _play_setting(stage: EvalSession, setting: Setting, size: EvalSize, written: Mapping[Setting, list[PackResult]]) -> list[PackResult]:
    """By whosever notes the setting says; `written` are the frozen ones, by the setting in which they were somebody's own."""
    if setting.notes == "none":
        return stage.play(setting, notes_conditions.no_notes(size.packs, size.loops))
    own = replace(setting, notes="own")
    if setting.notes == "frozen":
        return stage.play(setting, notes_conditions.replay_notes(written[own]))
    played = stage.play(own, notes_conditions.own_notes(size.packs, size.loops))
    return played if setting.notes == "own" else stage.play(setting, notes_conditions.shuffle_notes(played))


def _without_messages(loop: Loop) -> Loop:
    return replace(loop, episodes=tuple(replace(episode, prompt=(), steps=()) for episode in loop.episodes))
