"""Providers with `/chat/completions` that want their reasoning back: DeepSeek and Moonshot as text, OpenRouter as details."""

from __future__ import annotations

import json
from typing import ClassVar

from tests.models.providers.double import Double, Json, Refused, Sent, events


class Chat(Double):
    """A provider whose prompts are cached by themselves."""

    def respond(self, path: str, body: Json) -> tuple[str, bytes]:
        if not path.endswith("/chat/completions"):
            raise Refused(f"no such path: {path}")
        answered = [message for message in body["messages"] if message["role"] == "assistant"]
        for turn, message in enumerate(answered):
            self.check_answer(turn, message)
        turn, sent = len(answered), self.count([*body["tools"], *body["messages"]])
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
        deltas = [{"role": "assistant", "content": ""}, *self.think(turn)]
        for at, (name, arguments) in enumerate(self.scenario[turn]):
            text = json.dumps(arguments)
            function = {"name": name, "arguments": text[:5]}
            deltas.append({"tool_calls": [{"index": at, "id": f"call_{turn}_{at}", "type": "function", "function": function}]})
            deltas.append({"tool_calls": [{"index": at, "function": {"arguments": text[5:]}}]})
        chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        end = {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
        return events(*chunks, end, {**head, "choices": [], "usage": self.usage(sent)})

    def check_answer(self, turn: int, message: Json) -> None:
        """Raise Refused when an answer comes back without what was sent with it."""
        raise NotImplementedError

    def think(self, turn: int) -> list[Json]:
        """Return the pieces in which the provider streams its reasoning."""
        raise NotImplementedError

    def usage(self, sent: Sent) -> Json:
        total = sent.prompt + sent.completion
        counted = {"prompt_tokens": sent.prompt, "completion_tokens": sent.completion, "total_tokens": total}
        return {**counted, "prompt_tokens_details": {"cached_tokens": sent.cached}}


class DeepSeek(Chat):
    def check_answer(self, turn: int, message: Json) -> None:
        if message.get("reasoning_content") != f"What is step {turn}?":
            raise Refused("The `reasoning_content` in the thinking mode must be passed back to the API.")

    def think(self, turn: int) -> list[Json]:
        return [{"reasoning_content": "What is "}, {"reasoning_content": f"step {turn}?"}]

    def usage(self, sent: Sent) -> Json:
        return {**super().usage(sent), "prompt_cache_hit_tokens": sent.cached, "prompt_cache_miss_tokens": sent.prompt - sent.cached}


class Moonshot(DeepSeek):
    def check_answer(self, turn: int, message: Json) -> None:
        if message.get("tool_calls") and message.get("reasoning_content") != f"What is step {turn}?":
            raise Refused(f"thinking is enabled but reasoning_content is missing in assistant tool call message at index {turn}")


class OpenRouter(Chat):
    """Bills each answer itself."""

    USD: ClassVar = 0.0005

    def check_answer(self, turn: int, message: Json) -> None:
        details = [{key: value for key, value in detail.items() if key != "index"} for detail in message.get("reasoning_details") or []]
        if details != [{"type": "reasoning.text", "text": f"What is step {turn}?", "signature": f"SIG{turn}"}]:
            raise Refused(f"reasoning_details of message {turn} were changed or left out")

    def think(self, turn: int) -> list[Json]:
        said = f"What is step {turn}?"
        text = {"type": "reasoning.text", "text": said, "index": 0}
        signed = {"type": "reasoning.text", "signature": f"SIG{turn}", "index": 0}
        return [
            {"content": "", "reasoning": said, "reasoning_details": [text]},
            {"content": "", "reasoning": None, "reasoning_details": [signed]},
        ]

    def usage(self, sent: Sent) -> Json:
        return {**super().usage(sent), "cost": self.USD}
