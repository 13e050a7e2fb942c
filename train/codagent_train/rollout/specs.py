"""Specs of the loops that are to be played. A spec depends on the recipe, the step, the pack and the loop's number in its group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

from codagent.agent.loop import NotesIO
from codagent.protocols import Environment
from codagent.types import Loop, Profile, Sampling, Task
from codagent_train.environments.make import draw_pack
from codagent_train.environments.packs import seed_of
from codagent_train.recipe.environment_config import EnvironmentConfig
from codagent_train.recipe.schema import Recipe

_NEVER = 1_000_000  # an environment says itself when play is over; an agent that does the same again and again goes on
PACK_STRIDE = 1_000_000  # the difference between the first pack numbers of two seeds

OpenEnvironment = Callable[[], AbstractContextManager[Environment]]


@dataclass(frozen=True, slots=True)
class RolloutSpec:
    """One loop that is to be played. A spec is data: nothing is opened until the loop's thread enters `environment`."""

    loop: Loop  # with no episodes
    profile: Profile
    environment: OpenEnvironment  # gives a fresh environment; leaving its context closes what the environment holds
    tasks: tuple[Task, ...]
    seed: int  # the seeds of the loop's replies are derived from it
    notes_io: NotesIO = NotesIO("between")
    in_process: bool = False  # the environment never waits for anything but replies, so that the loop needs no thread of its own


def group_specs(recipe: Recipe, packs: Sequence[int], *, step: int, policy: str) -> dict[int, list[RolloutSpec]]:
    """Return the specs of one group of loops for each training pack, by the pack's number.

    `policy` is the policy's name in the loops. Runs with different seeds have different packs of the same number.
    """
    groups = {}
    for number in packs:
        drawn = recipe.seed * PACK_STRIDE + number
        config, pack, environment = draw_pack(recipe, "train", drawn)
        profile, name = agent_profile(recipe, config), f"{config.label}-{pack.seed}"
        group = []
        for member in range(recipe.batch.group_size):
            loop = Loop(f"{step}-{number}-{member}", f"{step}-{number}", name, policy, "")
            seed = seed_of("train", "replies", recipe.seed, step, number, member)
            group.append(RolloutSpec(loop, profile, partial(open_in_memory, environment), pack.tasks, seed, in_process=True))
        groups[number] = group
    return groups


def open_in_memory(make: Callable[[], Environment]) -> AbstractContextManager[Environment]:
    """Make an environment that holds nothing to be closed."""
    return nullcontext(make())


def policy_id(recipe: Recipe, step: int) -> str:
    """Return the name of the policy as it is in a step. Records of its replies hold this name."""
    return f"{recipe.policy.weights}@{step}"


def agent_profile(recipe: Recipe, environment: EnvironmentConfig | None = None) -> Profile:
    """Return the profile of the policy in an environment. None: in that of the recipe.

    The profile has no temperature: `run_loop` would raise a temperature from attempt to attempt. The sampler sets it.
    """
    replies, environment = recipe.replies, environment or recipe.environment
    return Profile(
        prompt="system" if environment.form == "paper" or environment.name == "keycode" else "terse",
        sampling=Sampling(max_tokens=replies.max_tokens),
        notes_tokens=replies.notes_tokens,
        context_tokens=replies.context_tokens,
        repeats=_NEVER,
    )
