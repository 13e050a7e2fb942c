"""How requests and replies become ids for a policy, and ids become text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from codagent.types import Message

Ids = tuple[int, ...]


class Tokenizer(Protocol):
    """The ids of a request as the model reads it, and of a whole reply as it would write it; the text of a reply."""

    def encode(self, messages: Sequence[Message], /) -> Ids: ...
    def encode_reply(self, text: str, /) -> Ids: ...
    def decode(self, ids: Sequence[int], /) -> str: ...


class ChatTokenizer:
    """A Tokenizer by the chat template of a model."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def encode(self, messages: Sequence[Message], /) -> Ids:
        chat = [{"role": message.role, "content": message.content} for message in messages]
        return tuple(self._processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=False))

    def encode_reply(self, text: str, /) -> Ids:
        """The ids of a whole reply."""
        return (*self._processor.encode(text, add_special_tokens=False), int(self._processor.eos_token_id))

    def decode(self, ids: Sequence[int], /) -> str:
        return str(self._processor.decode(ids, skip_special_tokens=True))
