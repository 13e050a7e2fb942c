"""An episode as other tools read trajectories: ATIF, the Agent Trajectory Interchange Format of the harbor framework, version 1.7.

A step of theirs is a message of the prompt, or a reply with what came back for it. What the format has no field for is in `extra`; text
that is no UTF-8 and arguments that are no JSON object cannot be told as they are, and `to_json_value` and `raw_arguments` are what becomes
of them.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from math import isfinite
from typing import Any

from codagent import __version__
from codagent.store.trainable import CHANGED, untrainable_reason
from codagent.types import Episode, Loop, Message, Reply, Role, Step, ToolCall

SCHEMA = "ATIF-v1.7"
_SOURCES: dict[Role, str] = {"system": "system", "assistant": "agent"}  # the others are the user's

JsonObject = dict[str, Any]


def to_trajectory(loop: Loop, episode: Episode) -> JsonObject:
    """The whole document. `agent.version` is that of this codagent: a record does not say which wrote it."""
    steps = [_prompt_step(message) for message in episode.prompt] + [_agent_step(step) for step in episode.steps]
    numbered = [{"step_id": number, **step} for number, step in enumerate(steps, 1)]
    return _without_none(
        schema_version=SCHEMA,
        session_id=loop.id,
        trajectory_id=episode_name(loop, episode),
        agent=_without_none(name="codagent", version=__version__, model_name=loop.model),
        steps=numbered,
        final_metrics=_totals(episode, len(numbered)),
        extra=_extra(loop, episode),
    )


def episode_name(loop: Loop, episode: Episode) -> str:
    """The episode's name among all of all loops."""
    return f"{loop.id}-{episode.position}-{episode.kind}"


def to_json_value(value: Any) -> Any:
    """The value as JSON and UTF-8 can hold it: half characters (bytes of an output that were no text) become question marks, floats that
    are no numbers None."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case float():
            return value if isfinite(value) else None
        case dict():
            return {to_json_value(key): to_json_value(item) for key, item in value.items()}
        case list():
            return [to_json_value(item) for item in value]
    return value


def _prompt_step(message: Message) -> JsonObject:
    """Replies in a prompt are no replies of this episode, which the format says by that they were copied."""
    source = _SOURCES.get(message.role, "user")
    step = _without_none(source=source, message=message.content)
    return {**step, "is_copied_context": True} if source == "agent" else step


def _agent_step(step: Step) -> JsonObject:
    reply, message = step.reply, step.reply.message
    extra = _without_none(
        policy=reply.policy,
        stop=reply.stop,
        seconds=step.seconds,
        raw=None if reply.raw == message.content else reply.raw,
        context_shortened=None if step.context is None else True,
    )
    return _without_none(
        source="agent",
        message=message.content,
        tool_calls=[_tool_call(call) for call in message.tool_calls] or None,
        observation=_observation(step),
        metrics=_metrics(reply),
        llm_call_count=1,
        extra=extra,
    )


def _tool_call(call: ToolCall) -> JsonObject:
    try:
        arguments = to_json_value(json.loads(call.arguments or "{}", strict=False))  # as the tools read them
    except (ValueError, RecursionError):
        arguments = None
    named_call = _without_none(tool_call_id=call.id, function_name=call.name)
    if isinstance(arguments, dict):
        return {**named_call, "arguments": arguments}
    return {**named_call, "arguments": {}, "extra": {"raw_arguments": to_json_value(call.arguments)}}


def _observation(step: Step) -> JsonObject | None:
    """Answers name the call that they are for; what came back for a reply without calls names none."""
    calls = {call.id for call in step.reply.message.tool_calls}
    results = [
        _without_none(source_call_id=message.tool_call_id if message.tool_call_id in calls else None, content=message.content)
        for message in step.observation.messages
    ]
    return {"results": results} if results else None


def _metrics(reply: Reply) -> JsonObject:
    """With token ids only where they are whole; `unfit` says why a reply is nothing to train on by them."""
    reason = untrainable_reason(reply)
    tokens = None if reason == CHANGED else reply.tokens
    return _without_none(
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        cost_usd=reply.cost_usd,
        prompt_token_ids=list(tokens.prompt_ids) if tokens else None,
        completion_token_ids=list(tokens.completion_ids) if tokens else None,
        logprobs=list(tokens.logprobs) if tokens else None,
        extra=_without_none(**asdict(reply.sampling), unfit=reason or None),
    )


def _totals(episode: Episode, steps: int) -> JsonObject:
    """The cost is told where that of every reply is known."""
    replies = [step.reply for step in episode.steps]
    costs = [reply.cost_usd for reply in replies if reply.cost_usd is not None]
    return _without_none(
        total_prompt_tokens=sum(reply.prompt_tokens for reply in replies),
        total_completion_tokens=sum(reply.completion_tokens for reply in replies),
        total_cost_usd=sum(costs) if len(costs) == len(replies) else None,
        total_steps=steps,
    )


def _extra(loop: Loop, episode: Episode) -> JsonObject:
    outcome = episode.outcome
    return _without_none(
        group=loop.group,
        environment=loop.environment,
        start_commit=loop.start_commit,
        kind=episode.kind,
        position=episode.position,
        task=episode.task.id,
        instruction=episode.task.instruction,
        notes_before=episode.notes_before,
        notes_after=episode.notes_after,
        reward=outcome.reward if outcome else None,
        passed=outcome.passed if outcome else None,
        end=episode.end,
        cause=episode.cause or None,
        commit=episode.commit,
    )


def _without_none(**fields: Any) -> JsonObject:
    """The fields that there are."""
    values = {name: to_json_value(value) if isinstance(value, str | float) else value for name, value in fields.items()}
    return {name: value for name, value in values.items() if value is not None}
