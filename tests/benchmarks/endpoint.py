"""A loopback endpoint that answers at once: it plays shell commands through whatever shell tool a client offers, then ends.

It keeps when each request came and how large it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

SHELLS = ("bash", "shell", "run", "terminal")
ENDINGS = ("finish", "done", "submit")


@dataclass
class Endpoint:
    """`with Endpoint([...]) as endpoint:` listens on `endpoint.url`. `last` is the command that ends a client without an ending tool."""

    commands: Sequence[str]
    last: str = "true"
    times: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def __enter__(self) -> Endpoint:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                self.answer("application/json", json.dumps({"object": "list", "data": [{"id": "mock", "object": "model"}]}).encode())

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length") or 0))
                endpoint.times.append(time.time())
                endpoint.sizes.append(len(raw))
                body = json.loads(raw)
                message, finish = endpoint.reply(body)
                usage = {"prompt_tokens": len(raw) // 4, "completion_tokens": 12, "total_tokens": len(raw) // 4 + 12}
                if body.get("stream"):
                    self.answer("text/event-stream", stream(message, finish, usage))
                else:
                    choice = {"index": 0, "message": message, "finish_reason": finish}
                    whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "mock", "choices": [choice], "usage": usage}
                    self.answer("application/json", json.dumps(whole).encode())

            def answer(self, kind: str, data: bytes) -> None:
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def reply(self, body: dict) -> tuple[dict, str]:
        """The next command as a call of the client's shell tool; at the end its ending tool, else `last`; without tools plain text."""
        offered = {tool["function"]["name"].lower(): tool["function"] for tool in body.get("tools") or []}
        shell = next((offered[name] for name in SHELLS if name in offered), None)
        ending = next((offered[name] for name in ENDINGS if name in offered), None)
        done = len(self.times) - 1
        if shell and done < len(self.commands):
            return call(done, shell, self.commands[done]), "tool_calls"
        if ending:
            return call(done, ending, "done"), "tool_calls"
        if shell:
            return call(done, shell, self.last), "tool_calls"
        return {"role": "assistant", "content": "done"}, "stop"

    def gaps(self) -> list[float]:
        """Seconds between one request and the next."""
        return [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)]


def call(number: int, tool: dict, value: str) -> dict:
    argument = tool["parameters"]["required"][0]
    function = {"name": tool["name"], "arguments": json.dumps({argument: value})}
    return {"role": "assistant", "content": "", "tool_calls": [{"index": 0, "id": f"c{number}", "type": "function", "function": function}]}


def stream(message: dict, finish: str, usage: dict) -> bytes:
    chunks = [
        {"choices": [{"index": 0, "delta": message, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
        {"choices": [], "usage": usage},
    ]
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "mock"}
    return b"".join(b"data: " + json.dumps(head | chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
