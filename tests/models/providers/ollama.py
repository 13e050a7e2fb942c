"""Ollama's `/api/chat`: lines of JSON, and arguments of calls as objects."""

from __future__ import annotations

import json

from tests.models.providers.double import Double, Json, Refused


class Ollama(Double):
    def respond(self, path: str, body: Json) -> tuple[str, bytes]:
        if path.endswith("/api/show"):
            facts = {"capabilities": ["completion", "tools"], "template": "{{ .Tools }}", "model_info": {"qwen3.context_length": 262144}}
            return "application/json", json.dumps({**facts, "details": {"family": "qwen3"}}).encode()
        if not path.endswith("/api/chat"):
            raise Refused(f"no such path: {path}")
        answered = [message for message in body["messages"] if message["role"] == "assistant"]
        if any(not isinstance(call["function"]["arguments"], dict) for message in answered for call in message.get("tool_calls") or []):
            raise Refused(
                "json: cannot unmarshal string into Go struct field ToolCallFunction.arguments of type api.ToolCallFunctionArguments"
            )
        sent = self.count([*body.get("tools", []), *body["messages"]])
        calls = [{"function": {"name": name, "arguments": arguments}} for name, arguments in self.scenario[len(answered)]]
        head = {"model": body["model"], "created_at": "2026-01-01T00:00:00Z"}
        message = {"role": "assistant", "content": "", "thinking": "What now?", "tool_calls": calls}
        counted = {"prompt_eval_count": sent.prompt, "eval_count": sent.completion, "done_reason": "stop"}
        lines = [
            {**head, "message": message, "done": False},
            {**head, "message": {"role": "assistant", "content": ""}, "done": True, **counted},
        ]
        return "application/x-ndjson", "".join(json.dumps(line) + "\n" for line in lines).encode()

    def refuse(self, message: str) -> Json:
        return {"error": message}
