"""Evaluations: a player rolls out test packs, setting by setting, and each is reported on.

What is drawn for a reply follows from the setting, the pack and the number of the loop, and from nothing of the player: any two are
compared on the same draws, and so are a player's own notes and others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from codagent.agent.loop import NotesIO
from codagent.errors import UsageError
from codagent.types import Loop, Profile
from codagent_train.environments.make import LEVELS, drawn
from codagent_train.environments.packs import Pack, seed_of
from codagent_train.evaluation import notes_conditions
from codagent_train.evaluation.notes_conditions import Cast
from codagent_train.evaluation.report import SETTINGS, Notes, Played, Report, Setting, report
from codagent_train.evaluation.target import Player, untrained
from codagent_train.recipe.schema import Place
from codagent_train.rollout.rollout import roll_out
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import Start, profile

SEATS = 128  # loops that are played side by side, each in a thread

Say = Callable[[str], None]
Opener = Callable[[Player], tuple[Sampler, Profile]]  # a player at work, and how it is worked with


@dataclass(frozen=True, slots=True)
class Size:
    """How much is played in a setting: the first `packs` test packs, each by `loops` loops."""

    packs: int
    loops: int


def settings(place: Place, given: Mapping[str, Any], *, notes: Notes, every: bool = False) -> list[Setting]:
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


def examine(player: Player, settings: Sequence[Setting], size: Size, *, say: Say, opener: Opener) -> Iterator[Report]:
    """A report on each setting, as soon as it is played. For frozen notes the untrained player writes them first, for all settings."""
    own = [replace(setting, notes="own") for setting in settings if setting.notes == "frozen"]
    written = _written(Stage(untrained(player), opener, say), own, size) if own else {}
    stage = Stage(player, opener, say)
    for setting in settings:
        yield report(player.name, setting, _played(stage, setting, size, written))


def opened(player: Player) -> tuple[Sampler, Profile]:
    """A player with its weights on their device. UsageError when one of these is not there."""
    import torch

    from codagent_train.policy.load import load_policy
    from codagent_train.rollout.engines.transformers_loop import Local

    recipe, given = player.recipe, player.recipe.policy
    if given.device == "cuda" and not torch.cuda.is_available():
        raise UsageError(f'{player.name} is asked on cuda, and there is none here; give a --recipe with device = "cpu" in [policy]')
    loaded = load_policy(given, seed=recipe.seed)
    engine = Local(loaded.model.to(given.device), pad=loaded.pad, ends=loaded.ends)
    return Sampler(engine, loaded.tokenizer, player.name, recipe.replies.temperature), profile(recipe)


class Stage:
    """Where a player plays. Its weights are held as long as this is; `say` hears how far it has come."""

    def __init__(self, player: Player, opener: Opener, say: Say) -> None:
        self._player, self._say = player, say
        self._sampler, self._profile = opener(player)

    def play(self, setting: Setting, cast: Cast) -> list[Played]:
        """The packs with their loops, of which only what reports need is kept: not what was said, for that is most of them."""
        packs, starts = {}, []
        for number, carries in cast.items():
            packs[number], there = self._starts(setting, number, carries)
            starts += there
        loops: list[Loop] = []
        for first in range(0, len(starts), SEATS):
            self._say(f"{self._player.name} on {setting}: {first} of {len(starts)} loops played")
            loops += map(_scores, roll_out(self._sampler, starts[first : first + SEATS], self._profile))
        rest = iter(loops)
        return [Played(number, packs[number], tuple(islice(rest, len(carries)))) for number, carries in cast.items()]

    def _starts(self, setting: Setting, number: int, carries: Sequence[NotesIO]) -> tuple[Pack, list[Start]]:
        recipe = self._player.recipe
        level: Any = setting.level
        place = replace(recipe.environment, level=level, tasks=setting.tasks)
        found, environment = drawn(replace(recipe, environment=place), "test", number)
        pack, starts = setting.packed(found), []
        for member, notes_io in enumerate(carries):
            loop = Loop(f"{number}-{member}", str(number), f"{place.name}-{pack.seed}", self._player.name, "")
            seed = seed_of("test", "replies", setting.level, setting.tasks, setting.packing, number, member)
            starts.append(Start(loop, environment(), pack.tasks, seed, notes_io))
        return pack, starts


def _written(stage: Stage, settings: Sequence[Setting], size: Size) -> dict[Setting, list[Played]]:
    return {setting: _played(stage, setting, size, {}) for setting in settings}


def _played(stage: Stage, setting: Setting, size: Size, written: Mapping[Setting, list[Played]]) -> list[Played]:
    """By whosever notes the setting says; `written` are the frozen ones, by the setting in which they were somebody's own."""
    if setting.notes == "none":
        return stage.play(setting, notes_conditions.without(size.packs, size.loops))
    own = replace(setting, notes="own")
    if setting.notes == "frozen":
        return stage.play(setting, notes_conditions.again(written[own]))
    played = stage.play(own, notes_conditions.own(size.packs, size.loops))
    return played if setting.notes == "own" else stage.play(setting, notes_conditions.of_another_pack(played))


def _scores(loop: Loop) -> Loop:
    return replace(loop, episodes=tuple(replace(episode, prompt=(), steps=()) for episode in loop.episodes))
