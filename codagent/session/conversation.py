"""What the model of a session is asked with, as it follows from the episodes on record.

A turn is a solve episode. What a person did beside the conversation (a command in the sandbox, changes accepted or discarded) is a solve
episode without a prompt, whose instruction is told to the model with the next turn. A notes episode leaves earlier messages out: the
conversation goes on with its notes as a summary, or anew when these are empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from codagent.agent.context import without_signatures
from codagent.repository.attempts import answer_of
from codagent.text import BYTES_PER_TOKEN, count_bytes, first_argument, first_line, truncate_middle
from codagent.types import Episode, Message

KEPT_STEPS = 4  # that stay as they are when a conversation is compacted
STOPPED = "(The person stopped you there.)"
_TURN_BYTES = 1_200  # of a turn in a summary


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages so far, and what is told with the next ones."""

    messages: tuple[Message, ...] = ()  # without a system message first: the next turn writes the first messages anew, before them
    facts: tuple[str, ...] = ()  # what happened since the last turn
    summary: str = ""  # of what came before `messages`; "": nothing did, or the person has cleared it

    @property
    def begun(self) -> bool:
        """Whether the first messages of the conversation are among the messages."""
        return bool(self.messages) and self.messages[0].role == "system"

    def tell(self, text: str) -> str:
        """Return a person's text with what happened before it, as the model is told. "": there is nothing to tell."""
        return "\n\n".join(part for part in (*self.facts, text) if part)


def recall(episodes: Sequence[Episode], context_tokens: int) -> Conversation:
    """Put together the conversation from the episodes of a session, for a model with such a context."""
    talk = Conversation()
    for episode in episodes:
        if episode.kind == "notes" and episode.notes_after is None:  # a compaction that was broken off
            continue
        if episode.kind == "notes":
            kept = keep_latest(talk.messages, context_tokens) if episode.notes_after else ()
            talk = Conversation(kept, talk.facts if episode.notes_after else (), episode.notes_after or "")
        elif is_act(episode):
            talk = replace(talk, facts=(*talk.facts, *filter(None, [episode.task.instruction])))
        else:
            talk = replace(talk, messages=episode.conversation, facts=(STOPPED,) if episode.end == "interrupted" else ())
    return talk


def is_act(episode: Episode) -> bool:
    """Whether an episode is something that the person did, and no turn."""
    return episode.kind == "solve" and not episode.prompt


def append_text(messages: tuple[Message, ...], text: str) -> tuple[Message, ...]:
    """Append what the person says. Two messages of a person in a row become one, because some models refuse them; "" adds nothing."""
    if not text:
        return messages
    if messages and messages[-1].role == "user":
        last = messages[-1]
        return (*messages[:-1], replace(last, content=f"{last.content}\n\n{text}"))
    return (*messages, Message("user", text))


def count_tokens(messages: Sequence[Message], episodes: Sequence[Episode]) -> int:
    """Estimate the tokens of the messages: what the server counted for the latest reply, if it was to these messages, or by their bytes."""
    last = episodes[-1] if episodes else None
    if last and last.steps and last.conversation == tuple(messages):
        return last.steps[-1].reply.total_tokens + sum(map(count_bytes, last.steps[-1].observation.messages)) // BYTES_PER_TOKEN
    return sum(map(count_bytes, messages)) // BYTES_PER_TOKEN


def keep_latest(messages: Sequence[Message], context_tokens: int) -> tuple[Message, ...]:
    """Return the latest steps of a conversation, in a quarter of the context at most. A call and its answers are never parted."""
    room = context_tokens * BYTES_PER_TOKEN // 4
    kept: list[Message] = []
    for step in reversed(_split_steps(messages)[-KEPT_STEPS:]):
        room -= sum(map(count_bytes, step))
        if room < 0:
            break
        kept = [*step, *kept]
    return tuple(without_signatures(message) if message.role == "assistant" else message for message in kept)


def describe_turns(episodes: Sequence[Episode], max_bytes: int) -> str:
    """Describe the turns since the context was last cleared, the latest last. Older ones are left out past `max_bytes`."""
    lines: list[str] = []
    for episode in episodes:
        if episode.kind == "notes":
            lines = lines if episode.notes_after is None else [episode.notes_after] if episode.notes_after else []
        elif is_act(episode):
            lines += filter(None, [truncate_middle(episode.task.instruction, max_lines=20, max_bytes=_TURN_BYTES)])
        else:
            answer = truncate_middle(answer_of(episode), max_lines=40, max_bytes=_TURN_BYTES)
            lines.append(f"The person: {episode.task.instruction}\n{_describe_work(episode)}You: {answer or '(no answer)'}")
    text = "\n\n".join(lines)
    return truncate_middle(text, max_lines=len(text) + 1, max_bytes=max_bytes)


def _describe_work(episode: Episode) -> str:
    calls = [f"{call.name} {first_line(first_argument(call), 80)}" for step in episode.steps for call in step.reply.message.tool_calls]
    return f"You called: {'; '.join(calls[-10:])}\n" if calls else ""


def _split_steps(messages: Sequence[Message]) -> list[tuple[Message, ...]]:
    """Split messages, without the first ones that introduce the repository, into what a person said and steps with their answers."""
    start = 2 if messages and messages[0].role == "system" else 0
    steps: list[tuple[Message, ...]] = []
    for message in messages[start:]:
        if message.role == "tool" and steps:
            steps[-1] += (message,)
        else:
            steps.append((message,))
    return steps
