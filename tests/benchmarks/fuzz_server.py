"""A model server for `fuzz.py` whose answers are damaged."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from damage import damage_bytes, damage_value

Answer = tuple[int, str, bytes]  # status, content type, body


def make_answer(name: str, arguments: Any, *, events: Callable[[list[Any]], Iterable[Any]] = list) -> Answer:
    """An answer with one call as server-sent events, as `events` makes them of what a server would send."""
    made = {"index": 0, "id": "c1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    text = {"role": "assistant", "content": "I do it.", "reasoning_content": "so"}
    scores = {"token_ids": [1, 2], "logprobs": {"content": [{"token": "x", "logprob": -0.5}] * 2}}
    sent = [
        {"choices": [], "prompt_token_ids": [3, 4, 5]},
        {"choices": [{"index": 0, "delta": text, "finish_reason": None, **scores}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [made]}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": {"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60}},
    ]
    lines = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events(sent))
    return 200, "text/event-stream", lines + b"data: [DONE]\n\n"


def damage_answer(rng: random.Random) -> Answer:
    """Damage an answer: the values of its events, its bytes, or how it is called."""
    status, kind, body = make_answer(
        "bash", {"command": "touch done"}, events=partial(map, partial(damage_value, rng=rng)) if rng.random() < 0.6 else list
    )
    if rng.random() < 0.5:
        body = damage_bytes(body, rng)
    return rng.choice((status,) * 8 + (204, 301, 400, 429, 500, 999)), rng.choice((kind, kind, "application/json", "")), body


def serve(answers: list[Answer]) -> str:
    """Start a server that gives the answers in their order, and the last one for ever. Returns the name of its model."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            self.answer(200, "application/json", b'{"data": [{"id": "m", "owned_by": "vllm"}]}')

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.answer(*(answers.pop(0) if len(answers) > 1 else answers[0]))

        def answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1#m"
