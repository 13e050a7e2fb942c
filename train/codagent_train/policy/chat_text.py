"""Conversations with tools as a policy reads and writes them: in text, with fenced blocks, as codagent speaks with what was trained."""

from __future__ import annotations

from collections.abc import Sequence

from codagent.models.tool_calls.formats import decode, encode, find_shown_files
from codagent.types import Calling, Message, Tool

CALLING: Calling = "text"


def render_messages(messages: Sequence[Message], tools: Sequence[Tool]) -> tuple[Message, ...]:
    """The messages of a request in which tools are told of, called and answered in text."""
    if not tools:
        return tuple(messages)
    chat, _, _ = encode(CALLING, messages, tools)
    return tuple(Message(message["role"], message["content"]) for message in chat)


def render_reply(messages: Sequence[Message], reply: Message, tools: Sequence[Tool]) -> str:
    """A reply as text, its calls in blocks."""
    return render_messages((*messages, reply), tools)[-1].content


def parse_reply(text: str, messages: Sequence[Message], tools: Sequence[Tool], *, cut: bool) -> Message:
    """The message that a reply's text is, with the calls in it; `cut`: it ended at its length limit."""
    if not tools:
        return Message("assistant", text)
    content, calls = decode(CALLING, text, tools, files=find_shown_files(messages), turn=len(messages), cut=cut)
    return Message("assistant", content, calls)
