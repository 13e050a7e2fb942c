"""What a model's name means when it was written without its provider."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from codagent.errors import UsageError
from codagent.models.weights import catalog
from codagent.redaction import remember_named, remember_secret

KNOWN = (
    "a model is PROVIDER/NAME (any litellm name), http://HOST:PORT/v1#NAME, embedded[:NAME], gguf:FILE, adapter:DIR or scripted:FILE; "
    f"embedded ones are {', '.join(entry.name for entry in catalog.ENTRIES)}"
)
# The providers that a bare name can mean: those that make the models themselves. Who sells models of others is not guessed.
_MAKERS = ("openai", "anthropic", "gemini", "deepseek", "moonshot", "mistral", "xai", "perplexity")
_MODES = ("chat", "responses")
_NEAR = 3  # names that an error suggests


@cache
def resolve_name(name: str) -> str:
    """Return the full name of a model. A name that says already where its model is comes back unchanged.

    A bare name is one of the catalogue, or of litellm's table, which is read without importing litellm. Raises UsageError for any other
    bare name, with the nearest names that are known, and for an address that is none or has a key in it, which a record would keep.
    """
    if name.startswith(("http://", "https://")):
        _check_address(name)
    if name in ("", "embedded") or "/" in name or ":" in name:
        return name
    if catalog.find_entry(name):
        return f"embedded:{name}"
    from codagent.models.servers.litellm_table import read_table

    table = read_table()
    if provider := _find_maker(name, table):
        return f"{provider}/{name}"
    known = {entry.name: f"embedded:{entry.name}" for entry in catalog.ENTRIES} | _list_bare_names(table)
    near = [known[match] for match in get_close_matches(name, known, n=_NEAR)]
    question = f"did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(f"unknown model {name!r}: {question}{KNOWN}")


def _check_address(address: str) -> None:
    """Raise UsageError for an address that is none, and for one with a key in it. The key is hidden from then on."""
    place, _, query = address.partition("#")[0].partition("?")
    if "@" in place.split("/")[2] or query:
        remember_named({"": address})
        for part in re.split("[=&]", query):
            remember_secret(part)
        raise UsageError(
            "the address of a model may hold no user, password or query, which records would keep; set CODAGENT_API_KEY, "
            "or write headers into [models.NAME] of your user file"
        )
    try:
        urlsplit(place).port  # noqa: B018 - it is checked only when it is asked for
    except ValueError as error:
        raise UsageError(f"{place} is not the address of a server ({str(error).lower()})") from None


def _find_maker(name: str, table: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the provider that makes the model `name`; None: the table knows none."""
    entry = table.get(name, {})
    usable = entry.get("mode") in _MODES
    return next(
        (
            maker
            for maker in _MAKERS
            if table.get(f"{maker}/{name}", {}).get("mode") in _MODES or (usable and entry.get("litellm_provider") == maker)
        ),
        None,
    )


def _list_bare_names(table: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the full names of the makers' models by their bare names."""
    names = {}
    for key, entry in table.items():
        maker, slash, bare = key.rpartition("/")
        provider = maker if slash else entry.get("litellm_provider")
        if provider in _MAKERS and entry.get("mode") in _MODES:
            names[bare] = f"{provider}/{bare}"
    return names
