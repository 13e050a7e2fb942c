"""Which API key a provider needs, for those providers of which it is certain that they answer nobody without one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

ENDPOINT_KEY = "CODAGENT_API_KEY"
_PROVIDERS = ("anthropic", "deepseek", "gemini", "groq", "mistral", "moonshot", "openai", "openrouter")
_HOSTS = (
    *("api.anthropic.com", "api.deepseek.com", "api.groq.com", "api.mistral.ai", "api.moonshot.ai", "api.openai.com"),
    *("generativelanguage.googleapis.com", "openrouter.ai"),
)
_MORE_PREFIXES = {"gemini": ("GOOGLE_",), "openrouter": ("OR_",)}
_WAY_IN = re.compile(r"(KEY|TOKEN|BASE|URL)$")


def find_missing_key(model: str, environment: Mapping[str, str]) -> str | None:
    """Return the variable that must hold the key of a model and does not; None: none is missing, as far as that is certain.

    It is not certain when a variable of the provider holds another key, a token, or the address of a server of the user's own.
    """
    provider, slash, _ = model.partition("/")
    if provider in ("http:", "https:"):
        needed = urlsplit(model).hostname in _HOSTS and not environment.get(ENDPOINT_KEY, "").strip()
        return ENDPOINT_KEY if needed else None
    if not slash or provider not in _PROVIDERS:
        return None
    prefixes = (f"{provider.upper()}_", *_MORE_PREFIXES.get(provider, ()))
    if any(name.startswith(prefixes) and _WAY_IN.search(name) and value.strip() for name, value in environment.items()):
        return None
    return f"{provider.upper()}_API_KEY"
