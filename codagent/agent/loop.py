"""A loop: episodes one after the other, each in a fresh context, with nothing carried on but the environment's own state and the notes.

What comes next follows from the loop so far and from nothing else; so a loop that was broken off goes on from its record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from codagent.agent.episode import Agent, run_episode
from codagent.agent.notes import bounded, rewrite_notes
from codagent.errors import RepositoryError, SandboxError
from codagent.store.record import broken_off, solved
from codagent.types import Environment, Episode, Loop, Outcome, Profile, Task

Plan = Callable[[Loop], Task | str]  # the next task, or in a word why there is none
OVER = ("model", "sandbox", "interrupted", "tokens", "seconds", "usd")  # the loop ends with an episode that ended so
WARMER, WARMEST = 0.1, 1.0  # temperature: by so much more at each position, up to this
_SEEDS = 1000  # apart from each other at two positions


@dataclass(frozen=True, slots=True)
class Carry:
    """How notes are carried. `read` gives them as they stand now, from as the loop left them: a person may have changed them. `keep` is
    given each episode that rewrote them, once it is on record."""

    rewrite: Literal["never", "between", "always"] = "never"
    read: Callable[[str], str] = str
    keep: Callable[[Episode], object] = str


def in_order(tasks: Sequence[Task]) -> Plan:
    """Each task once; the end of the last is the loop's."""

    def plan(loop: Loop) -> Task | str:
        done = solved(loop)
        return tasks[len(done)] if len(done) < len(tasks) else str(done[-1].end)

    return plan


def run_loop(agent: Agent, environment: Environment, plan: Plan, *, loop: Loop, carry: Carry = Carry()) -> Loop:
    """`loop` with all episodes that `plan` asks for, and why it ended. One whose last episode was broken off goes on with that.

    With `rewrite` always, the notes are written anew after each solve episode; with between, after each but the last.
    """
    while True:
        begun, loop = _taken_up(loop)
        if begun is None:
            begun = _due(loop, plan, carry)
        if begun is None:
            task = plan(loop)
            if isinstance(task, str):
                return replace(loop, end=task)
            begun = Episode("solve", len(solved(loop)), task, bounded(carry.read(notes(loop)), agent.profile.notes_tokens), ())
        episode = _work(agent, environment, loop, begun)
        loop = replace(loop, episodes=(*loop.episodes, episode))
        for observer in agent.observers:
            observer.on_episode_end(episode)
        if episode.kind == "notes":
            carry.keep(episode)
        if episode.end in OVER:
            unfinished = episode.kind == "solve" and broken_off(episode)
            return replace(loop, end="passed" if not unfinished and plan(loop) == "passed" else episode.end)


def notes(loop: Loop) -> str:
    """The notes as the loop's latest episode left them."""
    if not loop.episodes:
        return loop.notes
    last = loop.episodes[-1]
    return last.notes_before if last.notes_after is None else last.notes_after


def _taken_up(loop: Loop) -> tuple[Episode | None, Loop]:
    """The episode that was broken off, and the loop without it."""
    last = loop.episodes[-1] if loop.episodes else None
    if last is None or not broken_off(last):
        return None, loop
    begun = replace(last, end=None, cause="", outcome=None, commit=None, notes_after=None)
    return begun, replace(loop, episodes=loop.episodes[:-1], end=None)


def _due(loop: Loop, plan: Plan, carry: Carry) -> Episode | None:
    """The rewrite of the notes that comes now, if one does."""
    last = loop.episodes[-1] if loop.episodes else None
    if last is None or last.kind == "notes" or carry.rewrite == "never":
        return None
    if carry.rewrite == "between" and isinstance(plan(loop), str):
        return None
    return Episode("notes", last.position, last.task, last.notes_before, ())


def _work(agent: Agent, environment: Environment, loop: Loop, begun: Episode) -> Episode:
    agent = replace(agent, profile=_warmed(agent.profile, begun.position))
    if begun.kind == "notes":
        return rewrite_notes(agent, begun, loop.episodes[-1], environment.describe_state())
    return _judged(environment, run_episode(agent, environment, begun))


def _warmed(profile: Profile, position: int) -> Profile:
    """A later attempt is sampled a little warmer, and with other seeds."""
    sampling = profile.sampling
    if sampling.temperature is not None:
        warmth = max(sampling.temperature, min(WARMEST, sampling.temperature + WARMER * position))
        sampling = replace(sampling, temperature=round(warmth, 3))
    if sampling.seed is not None:
        sampling = replace(sampling, seed=sampling.seed + _SEEDS * position)
    return replace(profile, sampling=sampling)


def _judged(environment: Environment, episode: Episode) -> Episode:
    """The episode with its gates' word and its commit. Work is kept however an episode ended, but a sandbox that broke has none to give,
    a person who interrupts does not want to wait for gates, and work that cannot be brought back is worth nothing."""
    if episode.end == "sandbox":
        return episode
    try:
        outcome = None if episode.end == "interrupted" else environment.grade()
        return replace(episode, outcome=outcome, commit=environment.save_work(outcome))
    except SandboxError as error:
        return replace(episode, end="sandbox", cause=episode.cause or str(error))
    except RepositoryError as error:
        return replace(episode, end="repository", cause=str(error), outcome=Outcome(0.0, False, str(error)))
