"""What a model's server tells of itself: how many tokens the model takes, and whether replies can have token ids.

`/models` of an OpenAI-compatible server names its kind. vLLM lists `max_model_len` there. llama.cpp has `n_ctx` in `/props`, and LM Studio
has the length that is loaded in `/api/v0/models`. Ollama tells the length in `/api/show`, but it cuts the beginning off prompts of more
than a few thousand tokens when a request does not ask for a window.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from codagent.errors import ModelError
from codagent.models.http.client import HttpClient
from codagent.models.http.retry import Transient
from codagent.text import BYTES_PER_TOKEN

Json = dict[str, Any]
_RETURNS_IDS = ("vllm", "codagent")  # `owned_by` of the models of such servers
_LLAMA_CPP, _LM_STUDIO = "llamacpp", "organization_owner"
_PATIENCE_S = 2.0
_OLLAMA = "http://localhost:11434"
_OLLAMA_LEAST, _OLLAMA_USUAL = 8_192, 32_768  # tokens


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The facts of one model of a server."""

    window: int | None = None  # tokens of a prompt and its reply together; None: the server does not say
    returns_ids: bool = False  # whether a reply can have token ids and logprobs
    tells_progress: bool = False  # whether the server can tell how much of a prompt it has read


class ServerConnection:
    """A client for an OpenAI-compatible server, with the facts of one of its models."""

    def __init__(self, url: str, model: str, *, api_key: str | None, headers: Mapping[str, str], ask: bool = True) -> None:
        """Connect to the server at `url`. Without `ask`, nothing is known of it."""
        self._url, self._model, self._api_key, self._headers = url.rstrip("/"), model, api_key, headers
        self.client = HttpClient(url, api_key=api_key, headers=headers)
        self._facts = self._ask() if ask else ServerFacts()

    @property
    def facts(self) -> ServerFacts:
        """The facts of the model. The server is asked again until it can be reached."""
        self._facts = self._facts or self._ask()
        return self._facts or ServerFacts()

    def close(self) -> None:
        self.client.close()

    def _ask(self) -> ServerFacts | None:
        """Return the facts, or None when the server cannot be reached."""
        root = self._url.removesuffix("/v1")
        with closing(HttpClient(root, api_key=self._api_key, headers=self._headers, read_s=_PATIENCE_S)) as client:
            try:
                return _read_facts(client, self._url.removeprefix(root) + "/models", self._model)
            except Transient as error:
                return None if error.kind == "unreachable" else ServerFacts()
            except ModelError:
                return ServerFacts()


def _read_facts(client: HttpClient, path: str, name: str) -> ServerFacts:
    models = _entries(client.get_json(path))
    entry = next((model for model in models if model.get("id") == name), models[0] if models else {})
    owner = entry.get("owned_by")
    return ServerFacts(_count(entry.get("max_model_len")) or _find_window(client, owner, name), owner in _RETURNS_IDS, owner == _LLAMA_CPP)


def _find_window(client: HttpClient, owner: object, name: str) -> int | None:
    """Ask in the way of one kind of server. None: it is of no such kind, or it has no answer."""
    if owner == _LLAMA_CPP:
        settings = client.get_json("/props").get("default_generation_settings")
        return _count(settings.get("n_ctx")) if isinstance(settings, dict) else None
    if owner == _LM_STUDIO:
        entry = next((model for model in _entries(client.get_json("/api/v0/models")) if model.get("id") == name), {})
        return _count(entry.get("loaded_context_length")) or _count(entry.get("max_context_length"))
    return None


def default_model(listing: Json) -> str:
    """Choose a model from what `/models` lists: the first adapter (an entry with a `parent`), else the first entry.

    Returns "" when the list has no name.
    """
    models = _entries(listing)
    chosen = next((model for model in models if model.get("parent")), models[0] if models else {})
    return str(chosen.get("id") or "")


def _entries(listing: Json) -> list[Json]:
    models = listing.get("data")
    return [model for model in models if isinstance(model, dict)] if isinstance(models, list) else []


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def find_ollama_window(url: str | None, name: str) -> int:
    """Ask Ollama how many tokens the model takes. `url` None: the usual address. Returns a usual number when there is no answer."""
    with closing(HttpClient(url or os.environ.get("OLLAMA_API_BASE") or _OLLAMA)) as client:
        try:
            facts = client.get_json("/api/show", {"model": name}).get("model_info") or {}
            lengths = [value for key, value in facts.items() if key.endswith(".context_length") and isinstance(value, int)]
            return max(lengths, default=_OLLAMA_USUAL)
        except (ModelError, Transient, AttributeError):
            return _OLLAMA_USUAL


def choose_ollama_window(chat: Sequence[Any], reply_tokens: int, longest: int) -> int:
    """Return the window for a request. It doubles as the prompt grows, because Ollama loads the model again for each other window."""
    needed = sum(len(str(message)) for message in chat) // BYTES_PER_TOKEN + reply_tokens
    window = _OLLAMA_LEAST
    while window < needed:
        window *= 2
    return min(window, longest)
