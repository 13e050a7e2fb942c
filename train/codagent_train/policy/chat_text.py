"""Conversations with tools as text, as a policy reads and writes them.

Tool calls are written in fenced blocks, in the format that codagent itself uses with models of the calling "text".
"""

from __future__ import annotations

from collections.abc import Sequence

from codagent.models.tool_calls.formats import decode, encode, find_shown_files
from codagent.types import Calling, Message, Tool

CALLING: Calling = "text"


def render_messages(messages: Sequence[Message], tools: Sequence[Tool]) -> tuple[Message, ...]:
    """Return the messages with tools, calls and results written into their text. Without tools the messages stay as they are."""
    if not tools:
        return tuple(messages)
    chat, _, _ = encode(CALLING, messages, tools)
    return tuple(Message(message["role"], message["content"]) for message in chat)


def render_reply(messages: Sequence[Message], reply: Message, tools: Sequence[Tool]) -> str:
    """Return the text of a reply that follows `messages`, its tool calls in fenced blocks."""
    return render_messages((*messages, reply), tools)[-1].content


def parse_reply(text: str, messages: Sequence[Message], tools: Sequence[Tool], *, cut: bool) -> Message:
    """Read a reply from its text, with the tool calls in it.

    `cut` says that the text ended at its length limit: a call that is not complete then is none. Without tools all of it is text.
    """
    if not tools:
        return Message("assistant", text)
    content, calls = decode(CALLING, text, tools, files=find_shown_files(messages), turn=len(messages), cut=cut)
    return Message("assistant", content, calls)
