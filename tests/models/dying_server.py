"""An OpenAI-compatible server that really dies in the middle of a stream, and listens again on the same port when it is told to."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.models.loopback import Answer, Json

_RESET = struct.pack("ii", 1, 0)  # close at once, and throw away what was not sent


class DyingServer:
    """Plays answers in their order. Some are cut: all connections and the listening socket are closed after so many events."""

    def __init__(self, answers: Sequence[Answer], deaths: Mapping[int, int], *, back_s: float | None = None) -> None:
        """`deaths` has the number of events that are sent before the server dies, by the number of the request, from 0.

        A cut answer is played again from its beginning. `back_s` is how long the server is away; None: until `come_back`.
        """
        self._answers, self._deaths, self._back_s = list(answers), dict(deaths), back_s
        self.requests: list[Json] = []
        self._open: set[socket.socket] = set()
        self._http = self._listen(0)
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._back_s = None
        self._die()

    def come_back(self) -> None:
        """Listen again on the port of before."""
        self._http = self._listen(self._http.server_port)

    def _listen(self, port: int) -> ThreadingHTTPServer:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: Any) -> None: ...

            def do_POST(self) -> None:
                server.requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                server._open.add(self.connection)
                self.close_connection = server._play(self, server._deaths.get(len(server.requests) - 1))

        http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        http.daemon_threads = True
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return http

    def _play(self, handler: BaseHTTPRequestHandler, most: int | None) -> bool:
        """Stream the next answer, and die after `most` events; None: stream all of it. Returns whether the server is dead."""
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        stamp = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        lines = [f"data: {json.dumps(stamp | event)}\n\n".encode() for event in self._answers[0].events()]
        for line in lines[:most]:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        if most is not None:
            self._die()
            return True
        self._answers.pop(0)
        handler.wfile.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        return False

    def _die(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        for connection in self._open:
            try:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                connection.shutdown(socket.SHUT_RDWR)
                connection.close()
            except OSError:  # it is closed already
                continue
        self._open.clear()
        if self._back_s is not None:
            threading.Timer(self._back_s, self.come_back).start()
