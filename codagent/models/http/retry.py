"""Which failed requests are repeated and for how long, and which failures mean that the request was too long."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from codagent.errors import ContextOverflow, ModelError, RequestRefused

PATIENCE_S = 20.0
RETRY_AFTER_CAP_S = 60.0
_NAMED_WAIT = 6  # a server that says how long to wait is alive, so it gets this many times the patience
_TOO_LONG = (
    "context_length_exceeded",
    "exceed_context_size_error",
    "maximum context length",
    "maximum model length",
    "model's context length",
    "available context size",
    "context window",
    "prompt is too long",
    "input is too long",
    "input length and `max_tokens` exceed",
    "reduce the length of the messages",
)
_NO_MONEY = ("insufficient_quota", "exceeded your current quota", "credit balance is too low", "billing")

T = TypeVar("T")


class Transient(Exception):
    """A failure that may pass. `wait_s` is how long the server asks the client to wait; None: it did not say."""

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


def retry(act: Callable[[], T], patience_s: float) -> T:
    """Return what `act` returns; call it again after each Transient.

    Raises ModelError when the failures last longer than `patience_s`, or six times as long if the server itself asks the client to wait.
    """
    tries, began = 0, 0.0
    while True:
        try:
            return act()
        except Transient as error:
            now = time.monotonic()
            began = began or now
            # The first repetition is immediate: a server that closed an idle connection answers at once on a new one.
            wait = min(0.1 * 2**tries, 4.0) if tries else 0.0
            left = began + patience_s - now
            if error.wait_s is not None:
                wait = max(wait, min(error.wait_s, RETRY_AFTER_CAP_S))
                left = began + _NAMED_WAIT * patience_s - now
            if wait >= left:
                raise ModelError(str(error)) from error
            tries += 1
            time.sleep(wait)


def error_for_status(status: int, body: str, headers: Mapping[str, str], who: str) -> Transient | ModelError:
    """Translate an HTTP status of 300 or more, and the text of its answer, into an error."""
    low = body.lower()
    short = " ".join(body.split())[:300]
    if status == 413 or (status not in (401, 403, 429) and any(phrase in low for phrase in _TOO_LONG)):
        return ContextOverflow(f"{who} says that the request is too long: {short}")
    if status in (401, 403):
        return ModelError(f"{who} refused the key ({status}): {short}; check the API key that is set for it")
    if status == 404:
        return ModelError(f"{who} has no such model or path ({status}): {short}; check the model's name")
    if status == 402 or (status == 429 and any(phrase in low for phrase in _NO_MONEY)):
        return ModelError(f"{who} is out of quota ({status}): {short}")
    if status in (408, 409, 425, 429) or status >= 500:
        return Transient(f"{who} keeps failing ({status}): {short}; try again later", _retry_after(headers.get("retry-after")))
    return RequestRefused(f"{who} refused the request ({status}): {short}")


def _retry_after(value: str | None) -> float | None:
    """Return the seconds to wait, from a header that holds seconds or a date. Returns None for an empty or unreadable header."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return None if math.isnan(seconds) else max(0.0, seconds)
