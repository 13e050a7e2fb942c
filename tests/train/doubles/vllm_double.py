"""A server on a loopback port that speaks vLLM's completions, its list of models and its routes for adapters, with replies out of a
function.

Shapes, statuses and defaults after vLLM's `entrypoints/openai/completion/protocol.py`, `entrypoints/openai/models/serving.py` and
`entrypoints/serve/lora/api_router.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from codagent.types import Sampling, Tokens
from tests.models.loopback import listening

Json = dict[str, Any]
Sample = Callable[[str, tuple[int, ...], Sampling], Tokens]  # by the folder of an adapter, "" of none
BASE = "base"
HANG_UP = 0  # in place of a status


@dataclass
class Double:
    """`adapters` are the folders by name. `faults` come first, one for each completion or, of another path, for each request there: a
    status in place of an answer, or what makes another of it."""

    sample: Sample
    url: str = ""
    key: str = ""
    base: str = BASE
    updating: bool = True  # VLLM_ALLOW_RUNTIME_LORA_UPDATING
    adapters: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, Json]] = field(default_factory=list)
    faults: dict[str, list[int | Callable[[Json], Json]]] = field(default_factory=dict)

    def asked(self, path: str) -> list[Json]:
        return [body for at, body in self.requests if at == path]

    def answer(self, path: str, body: Json) -> tuple[int, Json | str]:
        self.requests.append((path, body))
        faults = self.faults.get(path)
        fault = faults.pop(0) if faults else None
        if isinstance(fault, int):
            return fault, refusal(fault, "as it was told to")
        if path == "/v1/completions":
            status, answer = self._completed(body)
            return status, fault(answer) if fault else answer
        if self.updating and path == "/v1/load_lora_adapter":
            return self._loaded(body["lora_name"], body["lora_path"])
        if self.updating and path == "/v1/unload_lora_adapter":
            return self._unloaded(body["lora_name"])
        return 404, {"detail": "Not Found"}

    def models(self) -> Json:
        adapters = [{"id": name, "root": path, "parent": self.base} for name, path in self.adapters.items()]
        return {"object": "list", "data": [{"id": self.base, "root": self.base, "parent": None}, *adapters]}

    def _completed(self, body: Json) -> tuple[int, Json]:
        name, prompt = body["model"], tuple(body["prompt"])
        if name not in self.adapters and name != self.base:
            return 404, refusal(404, f"The model `{name}` does not exist.")
        sampling = Sampling(body["temperature"], body["top_p"], body["top_k"], body["max_tokens"], body["seed"])
        tokens = self.sample(self.adapters.get(name, ""), prompt, sampling)
        ids = list(tokens.completion_ids)
        ended = ids[-1] in body["stop_token_ids"]
        words = [f"<{one}>" for one in ids]
        choice = {
            "index": 0,
            "text": "".join(words[:-1] if ended else words),
            "logprobs": {
                "text_offset": [0] * len(ids),
                "token_logprobs": list(tokens.logprobs),
                "tokens": words,
                "top_logprobs": [{word: logprob} for word, logprob in zip(words, tokens.logprobs, strict=True)],
            },
            "finish_reason": "stop" if ended else "length",
            "stop_reason": ids[-1] if ended else None,
            "token_ids": ids if body.get("return_token_ids") else None,
            "prompt_logprobs": None,
            "prompt_token_ids": list(prompt) if body.get("return_token_ids") else None,
        }
        usage = {"prompt_tokens": len(prompt), "completion_tokens": len(ids), "total_tokens": len(prompt) + len(ids)}
        return 200, {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": name, "choices": [choice], "usage": usage}

    def _loaded(self, name: str, path: str) -> tuple[int, Json | str]:
        if name in self.adapters:
            return 400, refusal(400, f"The lora adapter '{name}' has already been loaded.", "InvalidUserInput")
        self.adapters[name] = path
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def _unloaded(self, name: str) -> tuple[int, Json | str]:
        if self.adapters.pop(name, None) is None:
            return 404, refusal(404, f"The lora adapter '{name}' cannot be found.")
        return 200, f"Success: LoRA adapter '{name}' removed successfully."


def refusal(status: int, message: str, kind: str = "NotFoundError") -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}


@contextmanager
def serve(sample: Sample, *, port: int = 0, key: str = "", base: str = BASE) -> Iterator[Double]:
    double = Double(sample, key=key, base=base)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            self._send(200, double.models())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self._send(*double.answer(self.path, body))

        def _send(self, status: int, answer: Json | str) -> None:
            if double.key and self.headers["authorization"] != f"Bearer {double.key}":
                status, answer = 401, {"error": "Unauthorized"}
            if status == HANG_UP:
                self.close_connection = True
                return
            data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            if not isinstance(answer, str):
                self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with listening(Handler, port) as double.url:
        yield double
