"""What all imitations share: a scenario that they play, a cache of prompts, and an HTTP server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.models.loopback import listening

Json = dict[str, Any]
Call = tuple[str, Json]


class Refused(Exception):
    """The provider refuses the request (400)."""


@dataclass
class Sent:
    """What a request cost in tokens."""

    prompt: int
    cached: int
    written: int = 0  # to the cache
    completion: int = 0

    @property
    def share(self) -> float:
        return self.cached / self.prompt


def steps(count: int) -> list[list[Call]]:
    """Two tools in one parallel reply, a write, more commands, and the end: `count` replies in all."""
    begin: list[list[Call]] = [
        [("read", {"path": "answer.txt"}), ("bash", {"command": "ls"})],
        [("write", {"path": "answer.txt", "content": "right\n"})],
    ]
    more: list[list[Call]] = [[("bash", {"command": f"echo step {number}; cat answer.txt"})] for number in range(count - 3)]
    return [*begin, *more, [("finish", {"summary": "put it right"})]]


@dataclass
class Double:
    """A provider that plays the calls of `scenario`, one list of them in each reply."""

    scenario: Sequence[Sequence[Call]]
    sent: list[Sent] = field(default_factory=list)
    bodies: list[Json] = field(default_factory=list)
    _prefixes: set[str] = field(default_factory=set)

    def respond(self, path: str, body: Json) -> tuple[str, bytes]:
        """Return the kind and the bytes of the answer. Raises Refused."""
        raise NotImplementedError

    def refuse(self, message: str) -> Json:
        """Return the body of a refusal."""
        return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}

    def count(self, pieces: Sequence[Any], completion: int = 40) -> Sent:
        """Count a prompt of these pieces. What begins as an earlier prompt did comes from the cache."""
        cached = written = 0
        text = ""
        for piece in pieces:
            text += json.dumps(piece, sort_keys=True)
            if text in self._prefixes:
                cached = len(text) // 4
            self._prefixes.add(text)
        self.sent.append(Sent(len(text) // 4, cached, written, completion))
        return self.sent[-1]


def events(*items: Json, named: bool = False, done: bool = True) -> tuple[str, bytes]:
    """Return server-sent events."""
    lines = [(f"event: {item['type']}\n" if named else "") + f"data: {json.dumps(item)}\n\n" for item in items]
    return "text/event-stream", "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


@contextmanager
def serve(double: Double) -> Iterator[str]:
    """The URL at which the provider answers meanwhile, without a path."""

    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None: ...

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            double.bodies.append(body)
            try:
                kind, data = double.respond(self.path, body)
                status = 200
            except Refused as error:
                status, kind, data = 400, "application/json", json.dumps(double.refuse(str(error))).encode()
            self.send_response(status)
            self.send_header("content-type", kind)
            self.end_headers()
            self.wfile.write(data)

    with listening(Handler) as url:
        yield url.removesuffix("/v1")
