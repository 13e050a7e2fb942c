"""HTTP connections for clients that have the server's key. The key is checked in the headers, before the body of a request is read."""

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
from codagent_train.serving.bounds import MAX_ACTIVE, MAX_IDLE, BoundedReader, ConnectionLimits, ServeError

Json = dict[str, Any]
MAX_BODY_BYTES = 1 << 24
_MAX_HEAD_BYTES = 1 << 16  # the request line and the headers
_MAX_CLOSING = 32  # threads whose connections were closed a moment ago
_READ_TIMEOUT_S = 60.0  # for the next request line and headers to come, and as long again for the body
_LINGER_S = 2.0  # how long a client that is still sending has to read why its request was refused


class BoundedServer(ThreadingHTTPServer):
    """A server with a random key, and with a bounded number of threads: one for each connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BoundedRequestHandler]) -> None:
        self.key, self.limits = secrets.token_urlsafe(24), ConnectionLimits()
        self._threads_left = BoundedSemaphore(MAX_IDLE + MAX_ACTIVE + _MAX_CLOSING)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the thread of a new connection."""
        self._threads_left.acquire()  # does not wait long: an idle connection is closed for each one that comes
        self.limits.mark_idle(request)
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the machine cannot start another thread
            self._release(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end, in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._release(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback of an error, but not when the client has gone: that is no bug."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def _release(self, request: Any) -> None:
        self.limits.forget(request)
        self._threads_left.release()


class BoundedRequestHandler(BaseHTTPRequestHandler):
    """Serves one connection. A subclass has a method `do_GET` or `do_POST`, which calls `dispatch` with its routes."""

    server: BoundedServer
    protocol_version = default_request_version = "HTTP/1.1"  # so a request line without a version gets an answer with headers, too
    disable_nagle_algorithm = True
    timeout = _READ_TIMEOUT_S
    _body_unread = True  # whether the client may still be sending the request
    _answer_started = False

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._reader = BoundedReader(self.connection, usual_timeout_s=_READ_TIMEOUT_S)
        self.rfile = io.BufferedReader(self._reader)

    def finish(self) -> None:
        if self._body_unread:
            self._linger()
        super().finish()

    def log_message(self, *_: Any) -> None:
        """Print nothing: stderr would have a line for each request."""

    def handle_one_request(self) -> None:
        self._body_unread, self._answer_started = True, False
        self.request_version, self.requestline, self.command = self.protocol_version, "", ""  # for a line that cannot be parsed
        self._reader.allow(_MAX_HEAD_BYTES, _READ_TIMEOUT_S)
        try:
            super().handle_one_request()
        except ServeError as error:  # the line and the headers are too long
            self.send_error(error.status, str(error))

    def handle_expect_100(self) -> bool:
        """Go on without an answer: `_read_body` tells the client to send its body once the key is known to be right."""
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send the errors of the base class as JSON."""
        del explain
        self.send(code, format_error(code, message or "this is not a request"))

    def send_response(self, code: int, message: str | None = None) -> None:
        self._answer_started = True
        super().send_response(code, message)

    def dispatch(self, routes: Mapping[str, Callable[[Json], None]]) -> None:
        """Check the key, read the body, and call the function of the request's path with it. Errors are sent to the client."""
        try:
            if not secrets.compare_digest(self.headers.get("authorization", "").encode(), f"Bearer {self.server.key}".encode()):
                raise ServeError(401, "the API key is missing or wrong; it was printed when the server started")
            size = _parse_length(self.headers)
            with self.server.limits.reserve(self.connection, size):
                body = _parse_body(self._read_body(size))
                route = routes.get(self.path.partition("?")[0])
                if route is None:
                    raise ServeError(404, f"there is no {self.command} {self.path}")
                route(body)
        except CodagentError as error:
            status = error.status if isinstance(error, ServeError) else 400 if isinstance(error, UsageError) else 500
            self.send(status, format_error(status, str(error)))
        except OSError:  # the connection broke
            raise
        except Exception:  # a bug: the client hears of it, and `handle_error` prints it
            if not self._answer_started:
                self.send(500, format_error(500, "the server has a bug; its stderr has the details"))
            raise

    def send(self, status: int, answer: Json | str) -> None:
        """Send a complete answer: JSON, or plain text. When the request was not read to its end, the connection ends with it."""
        data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        with suppress(ConnectionError):
            self.send_response(status)
            self.send_header("content-type", "text/plain" if isinstance(answer, str) else "application/json")
            self.send_header("content-length", str(len(data)))
            if self._body_unread:
                self.close_connection = True
                self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(data)

    def _read_body(self, size: int) -> bytes:
        """Read the body of `size` bytes. Raises ServeError when it ends before, or does not come in time."""
        if size and self.headers.get("expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        self._reader.allow(size + _MAX_HEAD_BYTES, _READ_TIMEOUT_S)  # the buffer may read the next request's line and headers, too
        try:
            data = self.rfile.read(size)
        except TimeoutError:
            raise ServeError(408, f"the body of the request did not come within {_READ_TIMEOUT_S:.0f} seconds") from None
        if len(data) < size:
            raise ServeError(400, f"the body of the request ended after {len(data)} of {size} bytes")
        self._body_unread = False
        return data

    def _linger(self) -> None:
        """Read and drop what the client still sends, for `_LINGER_S` seconds at most.

        Closing a connection with unread data resets it, and the client would lose the answer that says why its request was refused.
        """
        deadline = monotonic() + _LINGER_S
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while (seconds_left := deadline - monotonic()) > 0:
                self.connection.settimeout(seconds_left)
                if not self.connection.recv(1 << 16):
                    return


def format_error(status: int, message: str) -> Json:
    """Write an error as OpenAI's clients read it."""
    kind = {401: "invalid_api_key", 404: "not_found"}.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}


def _parse_length(headers: Any) -> int:
    """Return the bytes of the body that the headers announce; 0 when they announce none. Raises ServeError when they are not clear."""
    lengths = headers.get_all("content-length", [])
    if "transfer-encoding" in headers:
        raise ServeError(411, "a body is taken with its content-length only, not with a transfer-encoding")
    if len(lengths) > 1 or not all(re.fullmatch(r"[0-9]{1,18}", length.strip()) for length in lengths):
        raise ServeError(400, "the content-length of the request is not one number of bytes")
    size = int(lengths[0]) if lengths else 0
    if size > MAX_BODY_BYTES:
        raise ServeError(413, f"a request has a content-length of at most {MAX_BODY_BYTES} bytes")
    return size


def _parse_body(data: bytes) -> Json:
    """Parse a JSON object; no bytes are an empty one.

    Raises ServeError for other JSON, for numbers such as Infinity, and for text that is not valid Unicode.
    """
    try:
        body = json.loads(data or b"{}")
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise ServeError(400, f"the request is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ServeError(400, "the request is not a JSON object")
    return body
