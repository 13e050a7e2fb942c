"""Anthropic's Messages API with thinking: what is sent must come back unchanged, and only what is marked is cached, and billed so."""

from __future__ import annotations

import json
from typing import Any

from tests.models.providers.double import Double, Json, Refused, Sent, events

INPUT, WRITE, READ, OUTPUT = 4e-6, 5e-6, 2e-7, 2e-5  # US dollars for a token of claude-opus-5-5
_LEAST = 512  # tokens of a prefix that is cached


class Anthropic(Double):
    """`bill` is what its answers cost in US dollars."""

    bill = 0.0

    def respond(self, path: str, body: Json) -> tuple[str, bytes]:
        if "/messages" not in path:
            raise Refused(f"no such path: {path}")
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        self._check(body)
        sent = self._count_marked(body)
        fresh = sent.prompt - sent.cached - sent.written
        self.bill += fresh * INPUT + sent.written * WRITE + sent.cached * READ + sent.completion * OUTPUT
        usage = {
            "input_tokens": fresh,
            "cache_creation_input_tokens": sent.written,
            "cache_read_input_tokens": sent.cached,
            "output_tokens": 1,
        }
        head = {"id": f"msg_{turn}", "type": "message", "role": "assistant", "model": body["model"], "content": [], "stop_reason": None}
        answer: list[Json] = [{"type": "message_start", "message": {**head, "usage": usage}}]
        for index, block in enumerate(self._blocks(turn)):
            answer += self._stream(index, block)
        end = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": sent.completion}}
        return events(*answer, end, {"type": "message_stop"}, named=True, done=False)

    def refuse(self, message: str) -> Json:
        return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}

    def _blocks(self, turn: int) -> list[Json]:
        calls = [
            {"type": "tool_use", "id": f"toolu_{turn}_{at}", "name": name, "input": arguments}
            for at, (name, arguments) in enumerate(self.scenario[turn])
        ]
        return [{"type": "thinking", "thinking": f"What is step {turn}?", "signature": f"SIG{turn}=="}, *calls]

    def _stream(self, index: int, block: Json) -> list[Json]:
        if block["type"] == "thinking":
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        else:
            text = json.dumps(block["input"])
            empty = {**block, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in (text[:7], text[7:])]
        return [
            {"type": "content_block_start", "index": index, "content_block": empty},
            *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": index},
        ]

    def _check(self, body: Json) -> None:
        for key in ("temperature", "top_p", "top_k"):
            if key in body:
                raise Refused(f"`{key}` is deprecated for this model.")
        turn, asked = 0, set()
        for at, message in enumerate(body["messages"]):
            blocks = message["content"] if isinstance(message["content"], list) else [{"type": "text", "text": message["content"]}]
            if any(block["type"] == "text" and not block["text"].strip() for block in blocks):
                raise Refused(f"messages.{at}: text content blocks must be non-empty")
            answered = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
            if asked and answered != asked:
                raise Refused(
                    f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {asked - answered}"
                )
            asked = {block["id"] for block in blocks if block["type"] == "tool_use"}
            if message["role"] == "assistant":
                if [_plain(block) for block in blocks] != self._blocks(turn):
                    raise Refused(f"messages.{at}: `thinking` blocks in the assistant message cannot be modified")
                turn += 1
        if len(_marks(_pieces(body))) > 4:
            raise Refused("A maximum of 4 blocks with cache_control may be provided.")

    def _count_marked(self, body: Json) -> Sent:
        """Count a prompt of which only the marked beginnings are cached. A beginning is found up to twenty blocks before a mark."""
        pieces = _pieces(body)
        ends, text = [], ""
        for piece in pieces:
            text += json.dumps(_plain(piece), sort_keys=True)
            ends.append(text)
        marks = _marks(pieces)
        found = {end for mark in marks for end in ends[max(0, mark - 19) : mark + 1] if end in self._prefixes}
        cached = max((len(end) // 4 for end in found), default=0)
        last = max((len(ends[mark]) // 4 for mark in marks), default=0)
        self._prefixes |= {ends[mark] for mark in marks if len(ends[mark]) // 4 >= _LEAST}
        sent = Sent(len(text) // 4, cached, max(0, last - cached) if last >= _LEAST else 0, 40)
        self.sent.append(sent)
        return sent


def _pieces(body: Json) -> list[Any]:
    """Return what is cached, in its order: tools, the system prompt, and each block of each message."""
    system = body.get("system") or []
    blocks = [block for message in body["messages"] for block in _blocks_of(message["content"])]
    return [*body.get("tools", []), *_blocks_of(system), *blocks]


def _blocks_of(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _marks(pieces: list[Any]) -> list[int]:
    return [at for at, piece in enumerate(pieces) if "cache_control" in piece]


def _plain(piece: Json) -> Json:
    return {key: value for key, value in piece.items() if key != "cache_control"}
