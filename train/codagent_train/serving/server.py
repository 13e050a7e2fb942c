"""An OpenAI-compatible server over weights, for clients that have its key: chat completions, and vLLM's routes for adapters."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from codagent.errors import CodagentError, ModelError, UsageError
from codagent_train.serving.adapters import AdapterPool
from codagent_train.serving.bounds import ServeError
from codagent_train.serving.chat_completion import ChatCompletion
from codagent_train.serving.chat_request import parse_request
from codagent_train.serving.connection import BoundedRequestHandler, BoundedServer, Json, format_error
from codagent_train.serving.scheduler import DrawnToken, Scheduler

_MAX_TEXT_CHARS = 4096  # of a name or a path


class ModelServer(BoundedServer):
    """Listens as soon as it is made, and answers while `serve_forever` runs.

    `serve_forever` raises ModelError when the thread that runs the model has ended.
    """

    def __init__(self, address: tuple[str, int], pool: AdapterPool) -> None:
        self.pool, self.scheduler = pool, Scheduler(pool)
        super().__init__(address, _ModelRequestHandler)  # calls server_close when the address cannot be used
        self.url = f"http://{address[0]}:{self.server_port}/v1"

    def service_actions(self) -> None:
        """Check that the scheduler runs; `serve_forever` calls this twice a second."""
        super().service_actions()
        if not self.scheduler.is_alive:
            raise ModelError("the thread that runs the model ended by a bug, which is described above; start the server again")

    def server_close(self) -> None:
        super().server_close()
        self.scheduler.close()


@contextmanager
def listen(pool: AdapterPool, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[ModelServer]:
    """Make a server, and close it at the end. Port 0: a free one is chosen. Raises UsageError when the address cannot be used."""
    try:
        server = ModelServer((host, port), pool)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port} ({error}); give another --port, or none for a free one") from error
    try:
        yield server
    finally:
        server.server_close()


class _ModelRequestHandler(BoundedRequestHandler):
    """Serves one connection."""

    server: ModelServer

    def do_GET(self) -> None:
        self.dispatch({"/v1/models": self._list_models})

    def do_POST(self) -> None:
        routes = {"/chat/completions": self._complete_chat, "/load_lora_adapter": self._load, "/unload_lora_adapter": self._unload}
        self.dispatch({f"/v1{path}": route for path, route in routes.items()})

    def _list_models(self, _: Json) -> None:
        pool = self.server.pool
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "codagent", "parent": None if name == pool.base else pool.base}
            for name in pool.names
        ]
        self.send(200, {"object": "list", "data": data})

    def _load(self, body: Json) -> None:
        name, folder = _read_text(body, "lora_name"), Path(_read_text(body, "lora_path"))
        self.server.scheduler.run_between_steps(lambda: self.server.pool.add(name, folder))
        self.send(200, f"Success: LoRA adapter '{name}' added successfully.")

    def _unload(self, body: Json) -> None:
        name = _read_text(body, "lora_name")
        self.server.scheduler.run_between_steps(lambda: self.server.pool.drop(name))
        self.send(200, f"Success: LoRA adapter '{name}' removed successfully.")

    def _complete_chat(self, body: Json) -> None:
        pool = self.server.pool
        policy, names = pool.policy, pool.names
        context_tokens = int(policy.model.config.get_text_config().max_position_embeddings)
        request = parse_request(body, policy.processor, model=names[0], context_tokens=context_tokens)
        if request.model not in names:
            raise ServeError(404, f"the model {request.model} does not exist; there are {', '.join(names)}")
        if max(request.prompt) >= policy.model.get_input_embeddings().num_embeddings:
            raise UsageError("the messages have tokens that the model has no embedding for; it is not the tokenizer's model")
        completion = ChatCompletion(request, policy.processor, policy.ends)
        tokens = self.server.scheduler.submit(request.model, request.prompt, request.sampling).iter_tokens(self._client_is_gone)
        if request.stream:
            self._stream(_iter_chunks(completion, tokens))
            return
        for token in tokens:
            completion.add_token(token)
        if not self._client_is_gone():
            self.send(200, completion.to_json())

    def _stream(self, chunks: Iterator[Json]) -> None:
        """Send the chunks as server-sent events, and end the connection with the last one."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        try:
            for chunk in chunks:
                self._send_event(json.dumps(chunk))
        except CodagentError as error:
            self._send_event(json.dumps(format_error(500, str(error))))
        self._send_event("[DONE]")

    def _send_event(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())

    def _client_is_gone(self) -> bool:
        """Return whether the client has closed the connection."""
        poll = select.poll()
        poll.register(self.connection, select.POLLIN)
        try:
            return bool(poll.poll(0)) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True


def _iter_chunks(completion: ChatCompletion, tokens: Iterator[DrawnToken]) -> Iterator[Json]:
    yield completion.make_first_chunk()
    for token in tokens:
        yield completion.add_token(token)
    if completion.ids:
        yield from completion.make_last_chunks()


def _read_text(body: Json, name: str) -> str:
    """Return a field that is a text of at most `_MAX_TEXT_CHARS` characters. Raises UsageError when it is not, and for ""."""
    value = body.get(name)
    if not isinstance(value, str) or not value or len(value) > _MAX_TEXT_CHARS:
        raise UsageError(f"{name} must be a text of at most {_MAX_TEXT_CHARS:,} characters")
    return value
