"""An OpenAI-compatible endpoint over weights, for whoever has its key: chat completions, and vLLM's routes for adapters."""

from __future__ import annotations

import json
import secrets
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from codagent.errors import CodagentError, UsageError
from codagent_train.serving.adapters import AdapterPool
from codagent_train.serving.openai_api import ChatCompletion, Json, parse_request
from codagent_train.serving.scheduler import Scheduler

_MOST_BYTES = 1 << 26  # of a request


class ModelServer(ThreadingHTTPServer):
    """Listens from the start, and answers while `serve_forever` runs."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], weights: AdapterPool) -> None:
        self.weights, self.key = weights, secrets.token_urlsafe(24)
        self.scheduler = Scheduler(weights)
        super().__init__(address, _RequestHandler)
        self.url = f"http://{address[0]}:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is nothing to tell of; anything else is a bug."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        self.scheduler.close()


@contextmanager
def listen(weights: AdapterPool, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[ModelServer]:
    """Port 0 is a free one. UsageError when the address cannot be had."""
    try:
        server = ModelServer((host, port), weights)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port} ({error}); give another --port, or none for a free one") from error
    try:
        yield server
    finally:
        server.server_close()


class _Refusal(UsageError):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _RequestHandler(BaseHTTPRequestHandler):
    """One connection."""

    server: ModelServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60.0  # for a client to say what it began to say

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        self._route({"/v1/models": self._models})

    def do_POST(self) -> None:
        routes = {"/chat/completions": self._chat, "/load_lora_adapter": self._load, "/unload_lora_adapter": self._unload}
        self._route({f"/v1{path}": answer for path, answer in routes.items()})

    def _route(self, routes: dict[str, Any]) -> None:
        try:
            body = self._read()  # always, or the rest of it would be taken for the next request
            if not secrets.compare_digest(self.headers.get("authorization", "").encode(), f"Bearer {self.server.key}".encode()):
                raise _Refusal(401, "the API key is missing or wrong; it was printed when the server started")
            answer = routes.get(self.path.partition("?")[0])
            if answer is None:
                raise _Refusal(404, f"there is no {self.command} {self.path}")
            answer(body)
        except CodagentError as error:
            status = error.status if isinstance(error, _Refusal) else 400 if isinstance(error, UsageError) else 500
            self._send(status, _error(status, str(error)))

    def _read(self) -> Json:
        try:
            length = int(self.headers.get("content-length") or 0)
            if not 0 <= length <= _MOST_BYTES or "transfer-encoding" in self.headers:
                self.close_connection = True
                raise _Refusal(413, f"a request has a content-length of at most {_MOST_BYTES} bytes")
            body = json.loads(self.rfile.read(length) or b"{}")
        except (ValueError, RecursionError) as error:
            raise _Refusal(400, f"the request is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise _Refusal(400, "the request is not a JSON object")
        return body

    def _models(self, _: Json) -> None:
        weights = self.server.weights
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "codagent", "parent": None if name == weights.base else weights.base}
            for name in weights.names
        ]
        self._send(200, {"object": "list", "data": data})

    def _load(self, body: Json) -> None:
        name, folder = _text(body, "lora_name"), Path(_text(body, "lora_path"))
        self.server.scheduler.run_between_steps(lambda: self.server.weights.add(name, folder))
        self._send(200, f"Success: LoRA adapter '{name}' added successfully.")

    def _unload(self, body: Json) -> None:
        name = _text(body, "lora_name")
        self.server.scheduler.run_between_steps(lambda: self.server.weights.drop(name))
        self._send(200, f"Success: LoRA adapter '{name}' removed successfully.")

    def _chat(self, body: Json) -> None:
        weights = self.server.weights
        policy, names = weights.policy, weights.names
        context_tokens = int(policy.model.config.get_text_config().max_position_embeddings)
        request = parse_request(body, policy.processor, model=names[0], context_tokens=context_tokens)
        if request.model not in names:
            raise _Refusal(404, f"the model {request.model} does not exist; there are {', '.join(names)}")
        completion = ChatCompletion(request, policy.processor, policy.ends)
        tokens = self.server.scheduler.submit(request.model, request.prompt, request.sampling).iter_tokens(self._client_is_gone)
        if request.stream:
            self._stream(_chunks(completion, tokens))
            return
        for token in tokens:
            completion.add_token(token)
        if not self._client_is_gone():
            self._send(200, completion.to_json())

    def _stream(self, chunks: Iterator[Json]) -> None:
        """As server-sent events, up to the end of the connection."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        try:
            for chunk in chunks:
                self._event(json.dumps(chunk))
        except CodagentError as error:
            self._event(json.dumps(_error(500, str(error))))
        self._event("[DONE]")

    def _event(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())

    def _client_is_gone(self) -> bool:
        """Whether the client has hung up."""
        news = select.poll()
        news.register(self.connection, select.POLLIN)
        try:
            return bool(news.poll(0)) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _send(self, status: int, answer: Json | str) -> None:
        data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        with suppress(ConnectionError):
            self.send_response(status)
            self.send_header("content-type", "text/plain" if isinstance(answer, str) else "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)


def _chunks(completion: ChatCompletion, tokens: Iterator[tuple[int, float]]) -> Iterator[Json]:
    yield completion.first_chunk()
    for token in tokens:
        yield completion.add_token(token)
    if completion.ids:
        yield from completion.last_chunks()


def _text(body: Json, name: str) -> str:
    if not isinstance(value := body.get(name), str) or not value:
        raise _Refusal(400, f"{name} is missing")
    return value


def _error(status: int, why: str) -> Json:
    kind = {401: "invalid_api_key", 404: "not_found"}.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": why, "type": kind, "param": None, "code": status}}
