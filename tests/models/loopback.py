"""A real OpenAI-compatible HTTP server on a loopback port that plays answers in their order and keeps the requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """A streamed reply. `usage` None: this server does not count."""

    text: str = ""
    calls: Sequence[tuple[str, str]] = ()
    finish: str | None = None
    usage: tuple[int, int] | None = (7, 3)
    prompt_ids: Sequence[int] = ()
    tokens: Sequence[tuple[int, float]] = ()

    def events(self) -> Iterator[Json]:
        if self.prompt_ids:
            yield {"choices": [], "prompt_token_ids": list(self.prompt_ids)}
        for piece in (self.text[at : at + 5] for at in range(0, len(self.text), 5)):
            yield {"choices": [{"index": 0, "delta": {"content": piece}}]}
        for at, (name, arguments) in enumerate(self.calls):
            head, tail = arguments[:4], arguments[4:]
            opening = {"index": at, "id": f"id{at}", "type": "function", "function": {"name": name, "arguments": head}}
            yield {"choices": [{"index": 0, "delta": {"tool_calls": [opening]}}]}
            yield {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": at, "function": {"arguments": tail}}]}}]}
        for token, logprob in self.tokens:
            content = [{"token": "x", "logprob": logprob}]
            yield {"choices": [{"index": 0, "delta": {}, "token_ids": [token], "logprobs": {"content": content}}]}
        finish = self.finish or ("tool_calls" if self.calls else "stop")
        yield {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
        if self.usage:
            prompt, completion = self.usage
            usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
            yield {"choices": [], "usage": usage}


@dataclass(frozen=True)
class Plain:
    """A body that is sent as it is."""

    body: str
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(status: int, message: str, code: str | None = None, **headers: str) -> Plain:
    body = json.dumps({"error": {"message": message, "code": code}})
    return Plain(body, status, headers={name.replace("_", "-"): value for name, value in headers.items()})


class Server:
    def __init__(self, answers: Sequence[Answer | Plain]) -> None:
        self.answers = list(answers)
        self.requests: list[Json] = []
        self.sizes: list[int] = []
        self.keys: list[str | None] = []
        self.connections: set[Any] = set()
        self.url = ""

    def next(self) -> Answer | Plain:
        """The answers in their order, the last one for ever."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def serve(*answers: Answer | Plain, owner: str | None = "vllm") -> Iterator[Server]:
    """A server that plays the answers. `owner` is the kind of server that its list of models names."""
    server = Server(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            self._send(Plain(json.dumps({"data": [{"id": "only-one", "owned_by": owner}]})))

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            server.requests.append(json.loads(raw))
            server.sizes.append(len(raw))
            server.keys.append(self.headers["authorization"])
            server.connections.add(self.client_address)
            answer = server.next()
            if isinstance(answer, Plain):
                self._send(answer)
                return
            stamp = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            lines = [f"data: {json.dumps(stamp | event, ensure_ascii=False)}\n\n" for event in answer.events()]
            self._send(Plain("".join(lines) + "data: [DONE]\n\n", kind="text/event-stream"))

        def _send(self, answer: Plain) -> None:
            body = answer.body.encode()
            self.send_response(answer.status)
            for name, value in {"content-type": answer.kind, "content-length": str(len(body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    with listening(Handler) as server.url:
        yield server


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler], port: int = 0) -> Iterator[str]:
    """The URL at which requests are handled meanwhile."""
    http = ThreadingHTTPServer(("127.0.0.1", port), handler)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1"
    finally:
        http.shutdown()
        http.server_close()
