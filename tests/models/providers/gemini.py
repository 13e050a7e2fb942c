"""Gemini's `streamGenerateContent`: the first call of a reply has a signature, which must come back."""

from __future__ import annotations

from tests.models.providers.double import Double, Json, Refused, events


class Gemini(Double):
    def respond(self, path: str, body: Json) -> tuple[str, bytes]:
        if "enerateContent" not in path:
            raise Refused(f"no such path: {path}")
        models = [content for content in body["contents"] if content["role"] == "model"]
        for turn, content in enumerate(models):
            calls = [part for part in content["parts"] if "functionCall" in part]
            if calls and calls[0].get("thoughtSignature") != f"U0lH{turn:04}":
                raise Refused("Function call is missing a thought_signature in functionCall parts.")
        asked = sum("functionCall" in part for content in body["contents"] for part in content["parts"])
        answered = sum("functionResponse" in part for content in body["contents"] for part in content["parts"])
        if asked != answered:
            raise Refused("Please ensure that the number of function response parts is equal to the number of function call parts.")
        turn, sent = len(models), self.count([body.get("system_instruction"), *body["tools"], *body["contents"]])
        parts: list[Json] = [{"functionCall": {"name": name, "args": arguments}} for name, arguments in self.scenario[turn]]
        parts[0]["thoughtSignature"] = f"U0lH{turn:04}"
        usage = {
            "promptTokenCount": sent.prompt,
            "cachedContentTokenCount": sent.cached,
            "candidatesTokenCount": sent.completion,
            "totalTokenCount": sent.prompt + sent.completion,
        }
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
        return events({"candidates": [candidate], "usageMetadata": usage, "modelVersion": body.get("model", "g")}, done=False)

    def refuse(self, message: str) -> Json:
        return {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}
