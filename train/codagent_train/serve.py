"""An OpenAI-compatible endpoint over weights, for whoever has its key: chat completions, and vLLM's routes for adapters."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from codagent.errors import CodagentError, ModelError, UsageError
from codagent_train.serve_bounds import Refusal
from codagent_train.serve_chat import Answer, Json, asked
from codagent_train.serve_connection import BoundedConversation, BoundedServer, told
from codagent_train.serve_desk import Desk
from codagent_train.serve_weights import Weights

_LONGEST = 4096  # characters of a name or of a path


class Endpoint(BoundedServer):
    """Listens from the start, and answers while `serve_forever` runs, which raises ModelError when nobody reads with the model any more."""

    def __init__(self, address: tuple[str, int], weights: Weights) -> None:
        self.weights, self.desk = weights, Desk(weights)
        super().__init__(address, _Conversation)  # which closes the desk when the address cannot be had
        self.url = f"http://{address[0]}:{self.server_port}/v1"

    def service_actions(self) -> None:
        """Look after the desk, twice a second."""
        super().service_actions()
        if not self.desk.alive:
            raise ModelError("the thread that reads with the model ended by a bug, of which it told above; start the server again")

    def server_close(self) -> None:
        super().server_close()
        self.desk.close()


@contextmanager
def listening(weights: Weights, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[Endpoint]:
    """Port 0 is a free one. UsageError when the address cannot be had."""
    try:
        endpoint = Endpoint((host, port), weights)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port} ({error}); give another --port, or none for a free one") from error
    try:
        yield endpoint
    finally:
        endpoint.server_close()


class _Conversation(BoundedConversation):
    """One connection."""

    server: Endpoint

    def do_GET(self) -> None:
        self.answered({"/v1/models": self._models})

    def do_POST(self) -> None:
        routes = {"/chat/completions": self._chat, "/load_lora_adapter": self._load, "/unload_lora_adapter": self._unload}
        self.answered({f"/v1{path}": answer for path, answer in routes.items()})

    def _models(self, _: Json) -> None:
        weights = self.server.weights
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "codagent", "parent": None if name == weights.base else weights.base}
            for name in weights.names
        ]
        self.send(200, {"object": "list", "data": data})

    def _load(self, body: Json) -> None:
        name, folder = _text(body, "lora_name"), Path(_text(body, "lora_path"))
        self.server.desk.between(lambda: self.server.weights.add(name, folder))
        self.send(200, f"Success: LoRA adapter '{name}' added successfully.")

    def _unload(self, body: Json) -> None:
        name = _text(body, "lora_name")
        self.server.desk.between(lambda: self.server.weights.drop(name))
        self.send(200, f"Success: LoRA adapter '{name}' removed successfully.")

    def _chat(self, body: Json) -> None:
        weights = self.server.weights
        policy, names = weights.policy, weights.names
        context_tokens = int(policy.model.config.get_text_config().max_position_embeddings)
        request = asked(body, policy.processor, model=names[0], context_tokens=context_tokens)
        if request.model not in names:
            raise Refusal(404, f"the model {request.model} does not exist; there are {', '.join(names)}")
        if max(request.prompt) >= policy.model.get_input_embeddings().num_embeddings:
            raise UsageError("the messages have tokens that the model has no embedding for; it is not the tokenizer's model")
        answer = Answer(request, policy.processor, policy.ends)
        drawn = self.server.desk.ask(request.model, request.prompt, request.sampling).drawn(self._gone)
        if request.stream:
            self._streamed(_chunks(answer, drawn))
            return
        for one in drawn:
            answer.add(one)
        if not self._gone():
            self.send(200, answer.whole())

    def _streamed(self, chunks: Iterator[Json]) -> None:
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
            self._event(json.dumps(told(500, str(error))))
        self._event("[DONE]")

    def _event(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())

    def _gone(self) -> bool:
        """Whether the client has hung up."""
        news = select.poll()
        news.register(self.connection, select.POLLIN)
        try:
            return bool(news.poll(0)) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True


def _chunks(answer: Answer, drawn: Iterator[tuple[int, float]]) -> Iterator[Json]:
    yield answer.first()
    for one in drawn:
        yield answer.add(one)
    if answer.ids:
        yield from answer.last()


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value or len(value) > _LONGEST:
        raise UsageError(f"{name} is to be a text of at most {_LONGEST:,} characters")
    return value
