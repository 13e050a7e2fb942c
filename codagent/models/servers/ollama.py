"""How long a prompt Ollama is to take. Without being told, it cuts the beginning off prompts of more than a few thousand tokens."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from codagent.errors import ModelError
from codagent.models.http.client import HttpClient
from codagent.models.http.retry import Transient
from codagent.text import BYTES_PER_TOKEN

_LEAST, _USUAL = 8_192, 32_768  # tokens
_ADDRESS = "http://localhost:11434"


def find_longest(url: str | None, name: str) -> int:
    """Ask Ollama how many tokens the model takes. `url` None: the usual address. Returns a usual number when there is no answer."""
    client = HttpClient(url or os.environ.get("OLLAMA_API_BASE") or _ADDRESS)
    try:
        facts = client.get_json("/api/show", {"model": name}).get("model_info") or {}
        return max((value for key, value in facts.items() if key.endswith(".context_length") and isinstance(value, int)), default=_USUAL)
    except (ModelError, Transient, AttributeError):
        return _USUAL
    finally:
        client.close()


def choose_window(chat: Sequence[Any], reply_tokens: int, longest: int) -> int:
    """Return the window for a request. It doubles as the prompt grows, because Ollama loads the model again for each other window."""
    needed = sum(len(str(message)) for message in chat) // BYTES_PER_TOKEN + reply_tokens
    window = _LEAST
    while window < needed:
        window *= 2
    return min(window, longest)
