"""OpenAI's models that take tools by `/v1/responses` alone, with reasoning that is encrypted."""

from __future__ import annotations

import json
from typing import Any

from tests.models.providers.double import Double, Json, Refused, events


class OpenAI(Double):
    def respond(self, path: str, body: Json) -> tuple[str, bytes]:
        if path.endswith("/chat/completions"):
            name = body["model"]
            wanted = "To use function tools, use /v1/responses or set reasoning_effort to 'none'."
            raise Refused(f"Function tools with reasoning_effort are not supported for {name} in /v1/chat/completions. {wanted}")
        if not path.endswith("/responses"):
            raise Refused(f"Invalid URL (POST {path})")
        if "max_tokens" in body:
            raise Refused("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_output_tokens' instead.")
        if body.get("temperature") not in (None, 1):
            raise Refused("Unsupported value: 'temperature' does not support this value with this model.")
        turn = self._check(body["input"])
        sent = self.count([*body["tools"], body.get("instructions"), *body["input"]])
        output = self._items(turn)
        usage = {
            "input_tokens": sent.prompt,
            "output_tokens": sent.completion,
            "total_tokens": sent.prompt + sent.completion,
            "input_tokens_details": {"cached_tokens": sent.cached},
            "output_tokens_details": {"reasoning_tokens": 9},
        }
        done = {"id": f"resp_{turn}", "object": "response", "created_at": 1, "status": "completed", "model": body["model"], "tools": []}
        done |= {"parallel_tool_calls": True, "tool_choice": "auto", "error": None, "incomplete_details": None, "metadata": {}}
        begin = {"type": "response.created", "response": {**done, "status": "in_progress", "output": [], "usage": None}}
        stream = [begin, *(event for at, item in enumerate(output) for event in self._stream(at, item))]
        end = {"type": "response.completed", "response": {**done, "output": output, "usage": usage}}
        return events(*({**event, "sequence_number": at} for at, event in enumerate([*stream, end])), named=True, done=False)

    def _items(self, turn: int) -> list[Json]:
        reasoning = {"id": f"rs_{turn}", "type": "reasoning", "summary": [], "encrypted_content": f"ENC{turn}"}
        calls = [
            {
                "id": f"fc_{turn}_{at}",
                "type": "function_call",
                "status": "completed",
                "call_id": f"call_{turn}_{at}",
                "name": name,
                "arguments": json.dumps(arguments),
            }
            for at, (name, arguments) in enumerate(self.scenario[turn])
        ]
        return [reasoning, *calls]

    def _stream(self, at: int, item: Json) -> list[Json]:
        if item["type"] != "function_call":
            return [{"type": f"response.output_item.{state}", "output_index": at, "item": item} for state in ("added", "done")]
        of = {"item_id": item["id"], "output_index": at}
        return [
            {"type": "response.output_item.added", "output_index": at, "item": {**item, "arguments": "", "status": "in_progress"}},
            {"type": "response.function_call_arguments.delta", **of, "delta": item["arguments"]},
            {"type": "response.function_call_arguments.done", **of, "arguments": item["arguments"]},
            {"type": "response.output_item.done", "output_index": at, "item": item},
        ]

    def _check(self, items: list[Any]) -> int:
        """Return how many turns came back. Raises Refused for a call without its answer, or with its id and without its reasoning."""
        asked, answered, reasoned = [], set(), set()
        for item in items:
            kind = item.get("type")
            if kind == "reasoning":
                reasoned.add(item["id"].removeprefix("rs_"))
            elif kind == "function_call":
                asked.append(item["call_id"])
                turn = item["call_id"].split("_")[1]
                if str(item.get("id", "")).startswith("fc_") and turn not in reasoned:
                    raise Refused(
                        f"Item '{item['id']}' of type 'function_call' was provided without its required 'reasoning' item: 'rs_{turn}'."
                    )
            elif kind == "function_call_output":
                answered.add(item["call_id"])
        if missing := [call for call in asked if call not in answered]:
            raise Refused(f"No tool output found for function call {missing[0]}.")
        return len({call.split("_")[1] for call in asked})
