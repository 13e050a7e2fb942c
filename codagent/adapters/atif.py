"""Writes an episode as a trajectory in ATIF 1.7, the Agent Trajectory Interchange Format of the harbor framework.

A step of ATIF is a message of the prompt, or a reply with the answers to it. Values for which ATIF has no field are in `extra`. ATIF cannot
hold text that is not UTF-8, nor tool arguments that are not a JSON object; `to_json_value` replaces the first, and the second are in
`raw_arguments` as text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from codagent import __version__
from codagent.store.trainable import CHANGED, untrainable_reason
from codagent.types import Episode, Loop, Message, Reply, Role, Step, ToolCall

SCHEMA = "ATIF-v1.7"
_SOURCES: dict[Role, str] = {"system": "system", "assistant": "agent"}  # the other roles become "user"

JsonObject = dict[str, Any]


def to_trajectory(loop: Loop, episode: Episode) -> JsonObject:
    """Return the document of an episode. `agent.version` is that of this codagent, because a record does not name the one that wrote it."""
    steps = _number(_episode_steps(episode))
    return _without_none(
        schema_version=SCHEMA,
        session_id=loop.id,
        trajectory_id=episode_name(loop, episode),
        agent=_without_none(name="codagent", version=__version__, model_name=loop.model),
        steps=steps,
        final_metrics=_totals([step.reply for step in episode.steps], len(steps)),
        extra=_extra(loop, episode),
    )


def to_run_trajectory(loop: Loop) -> JsonObject:
    """Return one document of all episodes of a loop, in order; `extra` is that of the last attempt."""
    last = loop.attempts[-1]
    steps = tuple(step for episode in loop.episodes for step in _episode_steps(episode))
    totals = _totals([step.reply for episode in loop.episodes for step in episode.steps], len(steps))
    return {**to_trajectory(loop, last), "trajectory_id": loop.id, "steps": _number(steps), "final_metrics": totals}


def episode_name(loop: Loop, episode: Episode) -> str:
    """Return a name that no other episode of any loop has."""
    return f"{loop.id}-{episode.position}-{episode.kind}"


def to_json_value(value: Any) -> Any:
    """Return the value without what JSON in UTF-8 cannot hold.

    A surrogate, which stands for a byte of output that was not text, becomes a question mark. A float that is not finite becomes None.
    """
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


def _episode_steps(episode: Episode) -> list[JsonObject]:
    return [_prompt_step(message) for message in episode.prompt] + [_agent_step(step) for step in episode.steps]


def _number(steps: Sequence[JsonObject]) -> list[JsonObject]:
    return [{"step_id": number, **step} for number, step in enumerate(steps, 1)]


def _prompt_step(message: Message) -> JsonObject:
    """Return the step of a prompt's message. A reply in a prompt is of an earlier episode, so it is marked as copied."""
    source = _SOURCES.get(message.role, "user")
    step = _without_none(source=source, message=message.content)
    return {**step, "is_copied_context": True} if source == "agent" else step


def _agent_step(step: Step) -> JsonObject:
    """Return the step of a reply and the answers to it."""
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
    """Return a call with parsed arguments; with none, and the text in `extra`, when they are not a JSON object."""
    try:
        arguments = to_json_value(json.loads(call.arguments or "{}", strict=False))  # parsed as the tools parse them
    except (ValueError, RecursionError):
        arguments = None
    named_call = _without_none(tool_call_id=call.id, function_name=call.name)
    if isinstance(arguments, dict):
        return {**named_call, "arguments": arguments}
    return {**named_call, "arguments": {}, "extra": {"raw_arguments": to_json_value(call.arguments)}}


def _observation(step: Step) -> JsonObject | None:
    """Return the answers to a reply, each with the id of its call; None when there are none. A reply without calls has no ids."""
    calls = {call.id for call in step.reply.message.tool_calls}
    results = [
        _without_none(source_call_id=message.tool_call_id if message.tool_call_id in calls else None, content=message.content)
        for message in step.observation.messages
    ]
    return {"results": results} if results else None


def _metrics(reply: Reply) -> JsonObject:
    """Return the counts and token ids of a reply. Ids that do not match the counts are left out.

    `unfit` says why the reply cannot be trained on.
    """
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


def _totals(replies: Sequence[Reply], steps: int) -> JsonObject:
    """Return the sums over the replies. The cost is left out when that of a reply is not known."""
    costs = [reply.cost_usd for reply in replies if reply.cost_usd is not None]
    return _without_none(
        total_prompt_tokens=sum(reply.prompt_tokens for reply in replies),
        total_completion_tokens=sum(reply.completion_tokens for reply in replies),
        total_cost_usd=sum(costs) if len(costs) == len(replies) else None,
        total_steps=steps,
    )


def _extra(loop: Loop, episode: Episode) -> JsonObject:
    """Return what ATIF has no field for."""
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
    """Return the fields that are not None."""
    values = {name: to_json_value(value) if isinstance(value, str | float) else value for name, value in fields.items()}
    return {name: value for name, value in values.items() if value is not None}
