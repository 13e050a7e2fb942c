"""Hides API keys and passwords in text that goes to a terminal, a record, a report or a log."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from codagent.protocols import OnText

_LEAST = 8  # characters; a shorter text may be a word of any sentence
_NAME = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|AUTHORIZATION|COOKIE)$", re.IGNORECASE)
_INVISIBLE = "\ufeff\u200b \t\r\n\v\f\0"
_SECRETS: set[str] = set()  # in lower case


def strip_invisible(key: str) -> str:
    """Return a key without the white space around it, as files and secret stores leave it there."""
    return key.strip(_INVISIBLE)


def remember_secret(secret: str) -> None:
    """Let a text be hidden from here on, also as JSON, HTML and a URL write it. One of fewer than eight characters is not hidden."""
    if len(secret := strip_invisible(secret)) >= _LEAST:
        written = (secret, json.dumps(secret)[1:-1], html.escape(secret), quote(secret), quote(secret, safe=""))
        _SECRETS.update(text.lower() for text in written)


def remember_named(variables: Mapping[str, str]) -> None:
    """Remember the values of environment variables or headers whose names say that they are secret, and the passwords in addresses."""
    for name, value in variables.items():
        if _NAME.search(name):
            for part in {value, value.rpartition(" ")[2]}:  # a header may begin with a word such as Bearer
                remember_secret(part)
        elif "://" in value and "@" in value:
            for part in _read_userinfo(value):
                remember_secret(part)


def hide_secrets(text: str) -> str:
    """Return `text` with "…" in place of each secret, in whatever case it is written."""
    lower = text.lower() if _SECRETS else ""
    if found := sorted((secret for secret in _SECRETS if secret in lower), key=len, reverse=True):
        return re.sub("|".join(map(re.escape, found)), "…", text, flags=re.IGNORECASE)
    return text


def hide_in_json(value: Any) -> Any:
    """Return a JSON value without secrets in its texts. Keys and numbers stay."""
    if isinstance(value, str):
        return hide_secrets(value)
    if isinstance(value, Mapping):
        return {key: hide_in_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [hide_in_json(item) for item in value]
    return value


class Redactor:
    """Passes the pieces of a reply on without secrets. A piece whose end may begin a secret waits for the next one, or for `finish`."""

    def __init__(self, on_text: OnText) -> None:
        self._on_text, self._waiting = on_text, ""

    def __call__(self, piece: str) -> None:
        """Pass on what is certain. Pieces of other kinds, such as thoughts, are other texts. "" says that the model still waits."""
        if not piece:
            self._on_text(piece)
            return
        kind = type(piece)
        if type(self._waiting) is not kind:
            self.finish()
        text = hide_secrets(self._waiting + piece)
        kept = len(text) - _count_begun(text)
        self._waiting = kind(text[kept:])
        if kept:
            self._on_text(kind(text[:kept]))

    def finish(self) -> None:
        """Pass on what waits: the reply is over."""
        waiting, self._waiting = self._waiting, ""
        if waiting:
            self._on_text(waiting)


def _count_begun(text: str) -> int:
    """Return how many characters at the end of `text` may be the beginning of a secret."""
    longest, first = max(map(len, _SECRETS), default=0), {secret[0] for secret in _SECRETS}
    end = text[len(text) - longest + 1 :].lower() if longest < len(text) else text.lower()
    starts = (at for at, character in enumerate(end) if character in first)
    return next((len(end) - at for at in starts if any(secret.startswith(end[at:]) for secret in _SECRETS)), 0)


def _read_userinfo(address: str) -> Iterator[str]:
    """Yield the password of an address, or its user where it has none, and what Basic authentication makes of the two."""
    with suppress(ValueError):
        parts = urlsplit(address)
        user, password = parts.username or "", parts.password or ""
        if secret := password or user:
            pair = f"{unquote(user)}:{unquote(password)}"
            yield from (secret, unquote(secret), base64.b64encode(pair.encode(errors="replace")).decode())
