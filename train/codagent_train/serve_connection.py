"""Connections to the endpoint: for whoever has its key, which is looked for in the head of a request, before its body is read."""

from __future__ import annotations

import io
import json
import re
import secrets
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore
from time import monotonic
from typing import Any

from codagent.errors import CodagentError, UsageError
from codagent_train.serve_bounds import MOST_WAITING, MOST_WORKING, Bounds, Heard, Refusal

Json = dict[str, Any]
MOST_BYTES = 1 << 24  # of a body
_MOST_HEAD = 1 << 16  # bytes of a request before its body
_ENDING = 32  # threads whose connections were closed a moment ago
_SPEAK_S = 60.0  # for a head, the wait for it included; and for a body
_LINGER_S = 2.0  # for a client to read why its request was not read


class BoundedServer(ThreadingHTTPServer):
    """A server for whoever has its key, with a thread for each connection, and a bound on these."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], conversation: type[BoundedConversation]) -> None:
        self.key, self.bounds = secrets.token_urlsafe(24), Bounds()
        self._places = BoundedSemaphore(MOST_WAITING + MOST_WORKING + _ENDING)
        super().__init__(address, conversation)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._places.acquire()  # is short: one of those that wait is closed for each that comes
        self.bounds.wait(request)
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the machine has no more threads
            self._end(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._end(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is nothing to tell of; anything else is a bug."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def _end(self, request: Any) -> None:
        self.bounds.leave(request)
        self._places.release()


class BoundedConversation(BaseHTTPRequestHandler):
    """One connection. What inherits from this class has a `do_` method for each kind of request, which calls `answered`."""

    server: BoundedServer
    protocol_version = default_request_version = "HTTP/1.1"  # a line without a version is answered with a head, too
    disable_nagle_algorithm = True
    timeout = _SPEAK_S
    _unread = True  # whether some of the request may still be on its way
    _begun = False  # whether some of the answer has been sent

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._heard = Heard(self.connection, usual_s=_SPEAK_S)
        self.rfile = io.BufferedReader(self._heard)

    def finish(self) -> None:
        if self._unread:
            self._linger()
        super().finish()

    def log_message(self, *_: Any) -> None: ...

    def handle_one_request(self) -> None:
        self._unread, self._begun = True, False
        self.request_version, self.requestline, self.command = self.protocol_version, "", ""  # for a line that cannot be read
        self._heard.allow(_MOST_HEAD, _SPEAK_S)
        try:
            super().handle_one_request()
        except Refusal as error:  # of a head
            self.send_error(error.status, str(error))

    def handle_expect_100(self) -> bool:
        """Say nothing yet: the client is told to send its body once its key is known."""
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        del explain
        self.send(code, told(code, message or "this is not a request"))

    def send_response(self, code: int, message: str | None = None) -> None:
        self._begun = True
        super().send_response(code, message)

    def answered(self, routes: Mapping[str, Callable[[Json], None]]) -> None:
        """Answer the request by the route of its path, which is given its body."""
        try:
            if not secrets.compare_digest(self.headers.get("authorization", "").encode(), f"Bearer {self.server.key}".encode()):
                raise Refusal(401, "the API key is missing or wrong; it was printed when the server started")
            size = _size(self.headers)
            with self.server.bounds.work(self.connection, size):
                body = _parsed(self._read(size))
                answer = routes.get(self.path.partition("?")[0])
                if answer is None:
                    raise Refusal(404, f"there is no {self.command} {self.path}")
                answer(body)
        except CodagentError as error:
            status = error.status if isinstance(error, Refusal) else 400 if isinstance(error, UsageError) else 500
            self.send(status, told(status, str(error)))
        except OSError:  # of the connection
            raise
        except Exception:  # a bug, which the client hears of, too
            if not self._begun:
                self.send(500, told(500, "the server has a bug here, of which its stderr tells"))
            raise

    def send(self, status: int, answer: Json | str) -> None:
        """Send the whole answer. It is the last one of the connection when the request has not been read to its end."""
        data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        with suppress(ConnectionError):
            self.send_response(status)
            self.send_header("content-type", "text/plain" if isinstance(answer, str) else "application/json")
            self.send_header("content-length", str(len(data)))
            if self._unread:
                self.close_connection = True
                self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(data)

    def _read(self, size: int) -> bytes:
        if size and self.headers.get("expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        self._heard.allow(size + _MOST_HEAD, _SPEAK_S)
        try:
            data = self.rfile.read(size)
        except TimeoutError:
            raise Refusal(408, f"the body of the request did not come within {_SPEAK_S:.0f} seconds") from None
        if len(data) < size:
            raise Refusal(400, f"the body of the request ended after {len(data)} of {size} bytes")
        self._unread = False
        return data

    def _linger(self) -> None:
        """Wait for the client to have read the answer: what it still sends would otherwise reset the connection before."""
        until = monotonic() + _LINGER_S
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while (left := until - monotonic()) > 0:
                self.connection.settimeout(left)
                if not self.connection.recv(1 << 16):
                    return


def told(status: int, why: str) -> Json:
    """An error as OpenAI's clients read it."""
    kind = {401: "invalid_api_key", 404: "not_found"}.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": why, "type": kind, "param": None, "code": status}}


def _size(headers: Any) -> int:
    """Of the body that is announced, in bytes."""
    lengths = headers.get_all("content-length", [])
    if "transfer-encoding" in headers:
        raise Refusal(411, "a body is taken with its content-length only, not with a transfer-encoding")
    if len(lengths) > 1 or not all(re.fullmatch(r"[0-9]{1,18}", each.strip()) for each in lengths):
        raise Refusal(400, "the content-length of the request is not one number of bytes")
    size = int(lengths[0]) if lengths else 0
    if size > MOST_BYTES:
        raise Refusal(413, f"a request has a content-length of at most {MOST_BYTES} bytes")
    return size


def _parsed(data: bytes) -> Json:
    """Refusal for all that is no JSON object, lone surrogates and numbers such as Infinity included."""
    try:
        body = json.loads(data or b"{}")
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the request is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refusal(400, "the request is not a JSON object")
    return body
