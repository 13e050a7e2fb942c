"""One attempt at a task: ask the model, let the environment answer, until one of them ends it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from codagent.context import Context
from codagent.errors import ContextOverflow, LimitReached, ModelError, SandboxError
from codagent.types import End, Environment, Episode, Message, Model, Observer, Profile, Reply, Step, Task, Tool


def run_episode(
    model: Model,
    environment: Environment,
    task: Task,
    *,
    profile: Profile,
    notes: str = "",
    position: int = 0,
    observers: Sequence[Observer] = (),
) -> Episode:
    """Work on `task` until it ends; what went wrong is in the episode's `end` and `cause`, never raised.

    A sandbox that does not start is the one exception (SandboxError): then there is no episode.
    """
    episode = Episode("solve", position, task, notes, environment.reset(task, notes))
    for observer in observers:
        observer.started(episode)
    steps: list[Step] = []
    end, cause = None, ""
    try:
        context = Context(episode.prompt, profile.memory)
        while end is None:
            step = _step(model, environment, context, profile, observers)
            steps.append(step)
            context.add(step)
            end = step.observation.end or _ended(steps, profile)
    except KeyboardInterrupt:
        end = "interrupted"
    except LimitReached as error:
        end, cause = error.limit, str(error)
    except ModelError as error:
        end, cause = "model", str(error)
    except SandboxError as error:
        end, cause = "sandbox", str(error)
    return replace(episode, steps=tuple(steps), end=end, cause=cause)


def _step(model: Model, environment: Environment, context: Context, profile: Profile, observers: Sequence[Observer]) -> Step:
    began = time.monotonic()
    reply, shortened = _ask(model, context, environment.tools, profile)
    for observer in observers:
        observer.replied(reply, shortened)
    step = Step(reply, environment.step(reply.message), time.monotonic() - began, shortened)
    for observer in observers:
        observer.stepped(step)
    return step


def _ask(model: Model, context: Context, tools: tuple[Tool, ...], profile: Profile) -> tuple[Reply, tuple[Message, ...] | None]:
    """A reply, and the messages it answers when they are not simply all that came before."""
    shortened = context.messages if context.forgets else None
    seed = profile.sampling.seed
    sampling = (
        profile.sampling if seed is None else replace(profile.sampling, seed=seed + context.steps)
    )  # the same question, another answer
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
