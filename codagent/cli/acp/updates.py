"""What an editor is told of a session: words, calls with their answers and diffs, the whole change, and turns that are past."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Literal

from acp import helpers
from acp.schema import (
    AgentMessageChunk,
    AgentPlanUpdate,
    ContentToolCallContent,
    FileEditToolCallContent,
    TerminalToolCallContent,
    ToolCallLocation,
    ToolCallProgress,
    ToolCallStart,
    ToolKind,
    UserMessageChunk,
)

from codagent.cli.session.view.ink import clean
from codagent.repository import git
from codagent.session.answered import Answered
from codagent.session.conversation import is_act
from codagent.text import first_argument, first_line, parse_json
from codagent.types import Episode, Loop, Outcome, ToolCall

_KINDS: dict[str, ToolKind] = {"bash": "execute", "read": "read", "search": "search", "edit": "edit", "write": "edit", "define": "edit"}
_MAX_TEXT_BYTES = 1_000_000  # of a file in a diff
_MAX_FILES = 200  # in a diff

Content = ContentToolCallContent | FileEditToolCallContent | TerminalToolCallContent
Past = UserMessageChunk | AgentMessageChunk | ToolCallStart


def describe_call(call: ToolCall, call_id: str, root: Path) -> ToolCallStart:
    """Describe a call that the model has made. `call_id` is unique in the session."""
    arguments = _read_arguments(call)
    path = arguments.get("path")
    locations = [ToolCallLocation(path=clean(str(root / path)))] if isinstance(path, str) and path else None
    return helpers.start_tool_call(
        call_id,
        clean(f"{call.name} {first_line(first_argument(call), 200)}").rstrip(),
        kind=_KINDS.get(call.name, "other"),
        status="in_progress",
        locations=locations,
        raw_input={key: clean(value) if isinstance(value, str) else value for key, value in arguments.items()},
    )


def describe_answer(answered: Answered, call_id: str, root: Path) -> ToolCallProgress:
    """Describe a call that is done: an edit as a diff, anything else as the text of its answer."""
    change = answered.change
    content: list[Any] = [helpers.tool_content(helpers.text_block(clean(answered.answer)))]
    if change and change.old != change.new:
        content = [helpers.tool_diff_content(str(root / change.path), clean(change.new), clean(change.old) if change.old else None)]
    status, _, _ = answered.answer.partition("\n")
    failed = status.startswith("error") or (status.startswith("exit") and not status.startswith("exit 0"))
    return helpers.update_tool_call(call_id, status="failed" if failed else "completed", content=content)


def describe_change(root: Path, before: str, after: str) -> list[Content]:
    """Describe how two commits differ, as a diff of each file. Of a file that is no text, only its name is told."""
    return [
        helpers.tool_diff_content(
            str(root / file.path),
            "" if file.kind == "removed" else _read_text(root, after, file.path),
            None if file.kind == "added" else _read_text(root, before, file.path),
        )
        for file in git.list_changed(root, before, after)[:_MAX_FILES]
    ]


def describe_checks(checks: Sequence[str], outcome: Outcome) -> AgentPlanUpdate:
    """Describe what the checks say as a plan, in which each check is an entry. A check that passes is completed."""
    status: Literal["completed", "pending"] = "completed" if outcome.passed else "pending"
    return helpers.update_plan([helpers.plan_entry(clean(check), status=status) for check in checks])


def describe_past(loop: Loop, root: Path) -> Iterator[Past]:
    """Yield what was said and called in a session so far."""
    numbers = count(1)
    for episode in loop.attempts:
        if not is_act(episode):
            yield helpers.update_user_message_text(clean(episode.task.instruction))
            yield from _describe_steps(episode, root, numbers)


def _describe_steps(episode: Episode, root: Path, numbers: Iterator[int]) -> Iterator[Past]:
    for step in episode.steps:
        message, answers = step.reply.message, {answer.tool_call_id: answer.content for answer in step.observation.messages}
        if message.content.strip():
            yield helpers.update_agent_message_text(clean(message.content))
        for call in message.tool_calls:
            call_id = f"past-{next(numbers)}"
            past, answer = describe_call(call, call_id, root), describe_answer(Answered(call, answers.get(call.id, "")), call_id, root)
            yield past.model_copy(update={"status": answer.status, "content": answer.content})


def _read_arguments(call: ToolCall) -> dict[str, Any]:
    try:
        arguments = parse_json(call.arguments or "{}")
    except ValueError:
        arguments = None
    return arguments if isinstance(arguments, dict) else {"raw": call.arguments}


def _read_text(root: Path, commit: str, path: str) -> str:
    data = git.read_file(root, commit, path)
    if b"\0" in data[:8192] or len(data) > _MAX_TEXT_BYTES:
        return f"({len(data):,} bytes that are not shown)"
    return clean(data.decode(errors="replace"))
