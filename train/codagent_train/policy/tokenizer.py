"""Token ids of requests and replies, and the text of ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from codagent.types import Message

Ids = tuple[int, ...]


class Tokenizer(Protocol):
    """The tokenizer that the trainer needs.

    `encode` gives the ids of a request, up to where the reply begins; `encode_reply` those of a whole reply, with the id that ends it;
    `decode` the text of a reply.
    """

    def encode(self, messages: Sequence[Message], /) -> Ids: ...
    def encode_reply(self, text: str, /) -> Ids: ...
    def decode(self, ids: Sequence[int], /) -> str: ...


class ChatTokenizer:
    """A Tokenizer that uses the chat template of a model. `processor` is the model's tokenizer from transformers."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def encode(self, messages: Sequence[Message], /) -> Ids:
        chat = [{"role": message.role, "content": message.content} for message in messages]
        return tuple(self._processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=False))

    def encode_reply(self, text: str, /) -> Ids:
        """Return the ids of the text and the id that ends a reply."""
        return (*self._processor.encode(text, add_special_tokens=False), int(self._processor.eos_token_id))

    def decode(self, ids: Sequence[int], /) -> str:
        return str(self._processor.decode(ids, skip_special_tokens=True))
