"""One episode: ask the model, let the environment answer, until one of them ends it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from codagent.agent.context import Context
from codagent.errors import ContextOverflow, LimitReached, ModelError, SandboxError
from codagent.types import End, Environment, Episode, Message, Model, Observer, Profile, Reply, Step, Tool


@dataclass(frozen=True, slots=True)
class Agent:
    """Who works: a model, how it is best worked with, and who hears of it."""

    model: Model
    profile: Profile = Profile()
    observers: Sequence[Observer] = ()


def run_episode(agent: Agent, environment: Environment, episode: Episode) -> Episode:
    """Work on `episode` until it ends; what went wrong is in its `end` and `cause`, never raised.

    One without a prompt begins. One that was broken off goes on: what its steps did is done again in the environment, which is a fresh
    one, and the model is asked for no reply that it has given already. A sandbox that does not start is the one exception (SandboxError).
    """
    prompt = environment.reset(episode.task, episode.notes_before)
    steps, given = _so_far(episode)
    if not episode.prompt:
        episode = replace(episode, prompt=prompt)
        for observer in agent.observers:
            observer.on_episode_start(episode)
    end, cause = None, ""
    try:
        context = Context(episode.prompt, agent.profile.memory)
        for step in steps:
            environment.step(step.reply.message)
            context.add(step)
        end = _ended(steps, agent.profile)
        while end is None:
            step = _step(agent, environment, context, given)
            given = None
            steps.append(step)
            context.add(step)
            end = _ended(steps, agent.profile)
    except KeyboardInterrupt:
        end = "interrupted"
    except LimitReached as error:
        end, cause = error.limit, str(error)
    except ModelError as error:
        end, cause = "model", str(error)
    except SandboxError as error:
        end, cause = "sandbox", str(error)
    return replace(episode, steps=tuple(steps), end=end, cause=cause)


def _so_far(episode: Episode) -> tuple[list[Step], Step | None]:
    """The steps of an episode that was broken off, and its last one apart when that reply was not answered."""
    steps = list(episode.steps)
    if steps and steps[-1].observation.end == "interrupted":
        return steps[:-1], steps[-1]
    return steps, None


def _step(agent: Agent, environment: Environment, context: Context, given: Step | None) -> Step:
    """The next step; `given` has the reply of a step that was broken off before its answer."""
    began = time.monotonic()
    if given:
        reply, shortened = given.reply, given.context
    else:
        reply, shortened = _ask(agent.model, context, environment.tools, agent.profile)
        for observer in agent.observers:
            observer.on_reply(reply, shortened)
    step = Step(reply, environment.step(reply.message), time.monotonic() - began, shortened)
    for observer in agent.observers:
        observer.on_step(step)
    return step


def _ask(model: Model, context: Context, tools: tuple[Tool, ...], profile: Profile) -> tuple[Reply, tuple[Message, ...] | None]:
    """A reply, and the messages it answers when they are not simply all that came before."""
    shortened = context.messages if context.forgets else None
    sampling = profile.sampling
    if sampling.seed is not None:
        sampling = replace(sampling, seed=sampling.seed + context.steps)  # the same question, another answer
    while context.overflows(profile.context_tokens, profile.sampling):
        context.shrink()
        shortened = context.messages
    while True:
        try:
            return model.reply(context.messages, tools, sampling), shortened
        except ContextOverflow:
            context.shrink()
            shortened = context.messages


def _ended(steps: Sequence[Step], profile: Profile) -> End | None:
    """Why no further step is worth taking."""
    if steps and steps[-1].observation.end:
        return steps[-1].observation.end
    if profile.steps is not None and len(steps) >= profile.steps:
        return "steps"
    last = [_exchange(step) for step in steps[-profile.repeats :]]
    if len(last) == profile.repeats and len(set(last)) == 1:
        return "repeated" if steps[-1].reply.message.tool_calls else "silent"
    return None


def _exchange(step: Step) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """What was asked for and what came back, apart from the ids of the calls."""
    calls = tuple((call.name, call.arguments) for call in step.reply.message.tool_calls)
    return calls, tuple(message.content for message in step.observation.messages)
