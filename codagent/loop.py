"""A loop: tasks one after the other, each an episode in a fresh context, graded by the environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codagent.agent import run_episode
from codagent.errors import RepositoryError, SandboxError
from codagent.types import Environment, Episode, Loop, Model, Observer, Profile, Task


def run_loop(
    model: Model, environment: Environment, tasks: Sequence[Task], *, loop: Loop, profile: Profile, observers: Sequence[Observer] = ()
) -> Loop:
    """`loop` with an episode for each task. Stops after one that something broken or a person ended."""
    for position, task in enumerate(tasks):
        episode = _grade(environment, run_episode(model, environment, task, profile=profile, position=position, observers=observers))
        loop = replace(loop, episodes=(*loop.episodes, episode))
        for observer in observers:
            observer.ended(loop.episodes[-1])
        if episode.end in ("model", "sandbox", "repository", "interrupted"):
            break
    return loop


def _grade(environment: Environment, episode: Episode) -> Episode:
    """The episode with its gates' word and its commit. Work is kept however an episode ended, but a sandbox that broke has none to give,
    and a person who interrupts does not want to wait for gates."""
    if episode.end == "sandbox":
        return episode
    try:
        outcome = None if episode.end == "interrupted" else environment.grade()
        return replace(episode, outcome=outcome, commit=environment.keep(outcome))
    except SandboxError as error:
        return replace(episode, end="sandbox", cause=episode.cause or str(error))
    except RepositoryError as error:
        return replace(episode, end="repository", cause=str(error))
