"""One episode: ask the model, let the environment answer, until one of them ends it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from codagent.agent.context import Context
from codagent.errors import ContextOverflow, LimitReached, ModelError, Refusal, SandboxError
from codagent.prompts import prompt
from codagent.protocols import Environment, Model, Observer
from codagent.text import replace_unencodable
from codagent.types import End, Episode, Message, Observation, Profile, Reply, Step, Tool, ToolCall


@dataclass(frozen=True, slots=True)
class Agent:
    """A model, how it is best worked with, and the observers of its episodes."""

    model: Model
    profile: Profile = Profile()
    observers: Sequence[Observer] = ()


ALREADY = "every check passes already, so the model was not asked"


def run_episode(agent: Agent, environment: Environment, episode: Episode) -> Episode:
    """Run one episode until the agent, the environment or a limit ends it.

    A new episode has no prompt; the environment writes it. An unfinished episode, loaded from a record, is resumed: its recorded replies
    are replayed against the fresh environment, and the model is asked only for what comes after the last of them. When nothing is left to
    do, an episode without a reply ends at once.

    Returns the episode with its steps, `end` and `cause`. Failures of the model, a limit or the sandbox become an `end`. Raises
    SandboxError only when the sandbox does not start.
    """
    first_messages = environment.reset(episode.task, episode.notes_before)
    steps, unanswered = _split_unanswered(episode)
    if not episode.prompt:
        episode = replace(episode, prompt=first_messages)
        for observer in agent.observers:
            observer.on_episode_start(episode)
    end: End | None = "passed" if environment.passes and not episode.steps else None
    cause = ALREADY if end else ""
    try:
        context = Context(episode.prompt, agent.profile.memory, goes_on=agent.profile.goes_on)
        for step in steps:
            _answer(environment, step.reply, agent.profile)
            context.add(step)
        end = end or _find_end(steps, agent.profile)
        while end is None:
            was_cut = bool(steps) and steps[-1].reply.stop == "length"
            step = _step(agent, environment, context, unanswered, room=agent.profile.room_after_cut if was_cut else 1)
            unanswered = None
            steps.append(step)
            context.add(step)
            end = _find_end(steps, agent.profile)
    except KeyboardInterrupt:
        end = "interrupted"
    except LimitReached as error:
        end, cause = error.limit, str(error)
    except ModelError as error:
        end, cause = "refused" if isinstance(error, Refusal) else "model", str(error)
    except SandboxError as error:
        end, cause = "sandbox", str(error)
    return replace(episode, steps=tuple(steps), end=end, cause=cause or _explain_refusal(agent.model.name, steps))


def _split_unanswered(episode: Episode) -> tuple[list[Step], Step | None]:
    """Split a recorded episode into its whole steps and the step whose reply got no answer (None: every reply got one)."""
    steps = list(episode.steps)
    if steps and steps[-1].observation.end == "interrupted":
        return steps[:-1], steps[-1]
    return steps, None


def _step(agent: Agent, environment: Environment, context: Context, unanswered: Step | None, *, room: int) -> Step:
    """Take the next step. `unanswered` holds a recorded reply that the environment has still to answer; None: the model is asked.

    A reply may have `room` times the usual length.
    """
    began = time.monotonic()
    if unanswered:
        reply, shortened = unanswered.reply, unanswered.context
    else:
        reply, shortened = _ask(agent.model, context, environment.tools, agent.profile, room)
        for observer in agent.observers:
            observer.on_reply(reply, shortened)
    step = Step(reply, _answer(environment, reply, agent.profile), time.monotonic() - began, shortened)
    for observer in agent.observers:
        observer.on_step(step)
    return step


def _answer(environment: Environment, reply: Reply, profile: Profile) -> Observation:
    """Let the environment answer a reply, and tell the model that it was cut, if its next one may be longer.

    A refusal ends the episode, and its calls are not run. A text that was cut is no answer yet.
    """
    if reply.stop == "refused":
        return Observation((), "refused")
    observation = environment.step(reply.message)
    if reply.stop != "length" or profile.room_after_cut == 1:
        return observation
    if observation.end == "finished" and not reply.message.tool_calls:
        return Observation((Message("user", prompt("cut")),))
    if not observation.messages:
        return observation
    *before, last = observation.messages
    return replace(observation, messages=(*before, replace(last, content=f"{prompt('cut')}\n\n{last.content}")))


def _explain_refusal(model: str, steps: Sequence[Step]) -> str:
    """Say for a person that the last reply was a refusal, and of which category; "": it was none."""
    refusal = steps[-1].reply.refusal if steps else ""
    return f"{model} refused to answer: {refusal}; {Refusal.ADVICE}" if refusal else ""


def _ask(model: Model, context: Context, tools: tuple[Tool, ...], profile: Profile, room: int) -> tuple[Reply, tuple[Message, ...] | None]:
    """Ask the model for a reply of at most `room` times the usual length.

    Returns the reply, and the messages that were sent when they are fewer than all that came before (else None).
    """
    shortened = context.messages if context.forgets else None
    sampling = profile.sampling if room == 1 else replace(profile.sampling, max_tokens=room * profile.sampling.max_tokens)
    if sampling.seed is not None:
        sampling = replace(sampling, seed=sampling.seed + context.steps)  # the same question, another answer
    while context.overflows(profile.context_tokens, sampling):
        context.shrink()
        shortened = context.messages
    while True:
        try:
            return _replace_halves(model.reply(context.messages, tools, sampling)), shortened
        except ContextOverflow:
            context.shrink()
            shortened = context.messages


def _replace_halves(reply: Reply) -> Reply:
    """Return the reply as its record will hold it: half a character, which no file takes, is replaced. So a replay answers the same."""
    fix, message = replace_unencodable, reply.message
    texts = (text for call in message.tool_calls for text in (call.id, call.name, call.arguments))
    if all(map(str.isascii, (reply.raw, message.content, message.provider_data, *texts))):
        return reply
    calls = tuple(ToolCall(fix(call.id), fix(call.name), fix(call.arguments)) for call in message.tool_calls)
    return replace(
        reply,
        message=replace(message, content=fix(message.content), tool_calls=calls, provider_data=fix(message.provider_data)),
        raw=fix(reply.raw),
    )


def _find_end(steps: Sequence[Step], profile: Profile) -> End | None:
    """Find out why no further step is to be taken; None: another one is."""
    if steps and steps[-1].observation.end:
        return steps[-1].observation.end
    if profile.steps is not None and len(steps) >= profile.steps:
        return "steps"
    if len(steps) < profile.repeats:
        return None
    last = [_exchange(step) for step in steps[-profile.repeats :]]
    if len(set(last)) == 1:
        return "repeated" if steps[-1].reply.message.tool_calls else "silent"
    return None


def _exchange(step: Step) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The calls of a step and their answers, without the ids of the calls."""
    calls = tuple((call.name, call.arguments) for call in step.reply.message.tool_calls)
    return calls, tuple(message.content for message in step.observation.messages)
