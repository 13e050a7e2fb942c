"""Run evaluations: a target plays test packs, setting by setting, and a report is made on each.

The seeds of replies follow from the setting, the pack and the number of the loop, not from the weights. So two targets, or two kinds of
notes, are compared on the same random draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from msgspec import structs

from codagent.agent.loop import NotesIO
from codagent.errors import UsageError
from codagent.types import Loop, Profile
from codagent_train.environments.make import LEVELS, make_pack, vocabulary_of
from codagent_train.environments.packs import Pack, seed_of
from codagent_train.evaluation import notes_conditions
from codagent_train.evaluation.loops import Say, play_loops
from codagent_train.evaluation.notes_conditions import NotesByPack
from codagent_train.evaluation.report import SETTINGS, Notes, PackResult, Report, Setting, make_report
from codagent_train.evaluation.target import EvalTarget, untrained_target
from codagent_train.policy.tokenizer import Tokenizer
from codagent_train.recipe.environment_config import EnvironmentConfig
from codagent_train.rollout.engines.engine import Engine
from codagent_train.rollout.rollout import Rollout, rollout
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import RolloutSpec, agent_profile, open_in_memory

OpenTarget = Callable[[EvalTarget], tuple[Sampler, Profile]]  # loads the weights; the profile is how an agent uses them


@dataclass(frozen=True, slots=True)
class EvalSize:
    """How much is played in a setting: the first `packs` test packs, each by `loops` loops."""

    packs: int
    loops: int


def choose_settings(environment: EnvironmentConfig, fixed: Mapping[str, Any], *, notes: Notes, all_settings: bool = False) -> list[Setting]:
    """Return the settings to play: that of a recipe's environment, with `fixed` fields in place of its own.

    `all_settings` gives all of `SETTINGS` whose fields equal the fixed ones.
    Raises UsageError when the level is unknown, or when no setting has these fields.
    """
    if fixed.get("level", environment.level) not in LEVELS:
        raise UsageError(f"there is no level {fixed['level']!r}; take one of {', '.join(LEVELS)}")
    if not all_settings:
        return [Setting(**{"level": environment.level, "tasks": environment.tasks, "packing": environment.packing, **fixed}, notes=notes)]
    settings = [
        replace(setting, notes=notes) for setting in SETTINGS if all(getattr(setting, name) == value for name, value in fixed.items())
    ]
    if not settings:
        raise UsageError("--all plays easy and hard lakes in packs of 4 and 8 tasks, and nothing else; leave it out for one setting")
    return settings


def evaluate(
    target: EvalTarget, settings: Sequence[Setting], size: EvalSize, *, say: Say, opener: OpenTarget, play: Rollout = rollout
) -> Iterator[Report]:
    """Yield a report on each setting as soon as it is played. `play` plays the loops.

    For frozen notes the untrained model plays all these settings first. Raises UsageError when the untrained model is needed and not known.
    """
    own = [replace(setting, notes="own") for setting in settings if setting.notes == "frozen"]
    frozen_notes = _write_notes(EvalSession(untrained_target(target), opener, say, play), own, size) if own else {}
    session = EvalSession(target, opener, say, play)
    for setting in settings:
        yield make_report(target.name, setting, _play_setting(session, setting, size, frozen_notes))


def open_target(target: EvalTarget) -> tuple[Sampler, Profile]:
    """Load the weights onto their device, or give them to the vLLM server of the recipe.

    Raises UsageError when the device or the weights are not there, and ModelError when the server refuses them.
    """
    import torch

    from codagent_train.policy.load import load_policy, load_pretrained
    from codagent_train.rollout.engines.factory import open_engine

    recipe, config = target.recipe, target.policy
    if recipe.engine.name == "vllm":
        policy = load_pretrained(config, tokenizer_only=True)
        return _make_sampler(target, policy.tokenizer, open_engine(recipe, policy, target.weights)), agent_profile(recipe)
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UsageError(f'{target.name} needs a GPU, and there is none here; give a --recipe with device = "cpu" in [policy]')
    policy = load_policy(config, seed=recipe.seed, vocabulary=vocabulary_of(*recipe.environments))
    return _make_sampler(target, policy.tokenizer, open_engine(recipe, policy, target.weights)), agent_profile(recipe)


def _make_sampler(target: EvalTarget, tokenizer: Tokenizer, engine: Engine) -> Sampler:
    return Sampler(engine, tokenizer, target.name, target.recipe.replies.temperature)


class EvalSession:
    """A target with its weights loaded. They are released with the session. `say` gets lines of progress."""

    def __init__(self, target: EvalTarget, opener: OpenTarget, say: Say, play: Rollout = rollout) -> None:
        self._target, self._say, self._play = target, say, play
        self._sampler, self._profile = opener(target)

    def play(self, setting: Setting, notes_by_pack: NotesByPack) -> list[PackResult]:
        """Play the packs and return their loops, without messages and steps: reports do not need them, and they take most of the memory."""
        packs, specs = {}, []
        for number, carries in notes_by_pack.items():
            packs[number], pack_specs = self._specs(setting, number, carries)
            specs += pack_specs
        name = f"{self._target.name} on {setting}"
        rest = play_loops(self._play, self._sampler, specs, _without_messages, self._say, name)
        return [PackResult(number, packs[number], tuple(islice(rest, len(carries)))) for number, carries in notes_by_pack.items()]

    def _specs(self, setting: Setting, number: int, carries: Sequence[NotesIO]) -> tuple[Pack, list[RolloutSpec]]:
        recipe = self._target.recipe
        level: Any = setting.level
        config = structs.replace(recipe.environment, level=level, tasks=setting.tasks, packing="cod")
        drawn_pack, environment = make_pack(structs.replace(recipe, environment=config), "test", number)
        pack, specs = setting.repack(drawn_pack), []
        for member, carry in enumerate(carries):
            loop = Loop(f"{number}-{member}", str(number), f"{config.name}-{pack.seed}", self._target.name, "")
            seed = seed_of("test", "replies", setting.level, setting.tasks, setting.packing, number, member)
            specs.append(RolloutSpec(loop, self._profile, partial(open_in_memory, environment), pack.tasks, seed, carry, in_process=True))
        return pack, specs


def _write_notes(session: EvalSession, settings: Sequence[Setting], size: EvalSize) -> dict[Setting, list[PackResult]]:
    return {setting: _play_setting(session, setting, size, {}) for setting in settings}


def _play_setting(
    session: EvalSession, setting: Setting, size: EvalSize, frozen_notes: Mapping[Setting, list[PackResult]]
) -> list[PackResult]:
    """Play a setting with the notes that it asks for.

    `frozen_notes` has the loops of the untrained model, by the setting in which it wrote its own notes.
    """
    if setting.notes == "none":
        return session.play(setting, notes_conditions.no_notes(size.packs, size.loops))
    own = replace(setting, notes="own")
    if setting.notes == "frozen":
        return session.play(setting, notes_conditions.replay_notes(frozen_notes[own]))
    results = session.play(own, notes_conditions.own_notes(size.packs, size.loops))
    return results if setting.notes == "own" else session.play(setting, notes_conditions.shuffle_notes(results))


def _without_messages(loop: Loop) -> Loop:
    return replace(loop, episodes=tuple(replace(episode, prompt=(), steps=()) for episode in loop.episodes))
