"""Which failed requests are repeated and for how long, which mean that the request was too long, and which that it was refused."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

from codagent.errors import ContextOverflow, ModelError, NotServed, Refusal, RequestRefused
from codagent.models.http.named_wait import wait_in_headers, wait_in_text
from codagent.models.http.refusal import is_refusal, refuses_tools

PATIENCE_S = 20.0
RETRY_AFTER_CAP_S = 60.0
_LONGEST_PAUSE_S = 15.0  # between two requests, when the server names no wait
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
_NO_MONEY = ("insufficient_quota", "credit balance is too low", "perday")
_NO_MONEY_OR_BUSY = ("exceeded your current quota", "billing")  # Gemini says so each minute, too, and then how long to wait
_NO_LINE = ("connection error", "connection refused", "name or service not known", "name resolution")  # litellm calls these 500
_QUOTED = re.compile(r'"message": ?"((?:[^"\\]|\\.)+)"')  # in JSON, which litellm puts into its own sentence

Kind = Literal["busy", "unreachable", "broken"]
T = TypeVar("T")


class Transient(Exception):
    """A failure that may pass.

    busy: the server said so. unreachable: the request did not arrive. broken: an answer may have begun, and may have to be paid for.
    """

    def __init__(self, message: str, wait_s: float | None = None, *, kind: Kind = "broken", says: str = "") -> None:
        """`wait_s` is how long the server asks the client to wait; None: it did not say. `says` are the server's own words; "": none."""
        super().__init__(message)
        self.wait_s, self.kind, self.says = wait_s, kind, says


def retry(act: Callable[[], T], patience: float | Callable[[Transient], float]) -> T:
    """Return what `act` returns; call it again after each Transient.

    `patience` is for how many seconds, or says it after each failure. Raises ModelError when the failures last longer than that, NotServed
    when none of the requests has arrived.
    """
    tries, began = 0, 0.0
    failed: type[ModelError] = NotServed
    while True:
        try:
            return act()
        except Transient as error:
            now = time.monotonic()
            failed = failed if error.kind == "unreachable" else ModelError
            began = began or now
            left = began + (patience(error) if callable(patience) else patience) - now
            # The first repetition is immediate: a server that closed an idle connection answers at once on a new one.
            wait = min(0.1 * 2**tries, _LONGEST_PAUSE_S) if tries else 0.0
            if error.wait_s is not None:
                wait = max(wait, min(error.wait_s, RETRY_AFTER_CAP_S))
            if wait >= left:
                raise failed(str(error)) from error
            tries += 1
            time.sleep(wait)


def error_for_status(status: int, body: str, headers: Mapping[str, str], who: str) -> Transient | ModelError:
    """Translate an HTTP status of 300 or more, and the text of its answer, into an error."""
    low = body.lower()
    short = " ".join(body.split())[:300]
    refused = RequestRefused(f"{who} refused the request ({status}): {short}")
    if refuses_tools(low):  # with whatever status
        return refused
    if lasting := _lasting_error(status, low, short, who):
        return lasting
    if status in (408, 409, 425, 429) or status >= 500:
        wait = wait_in_headers(headers)
        wait = wait_in_text(low) if wait is None else wait
        message = f"{who} keeps failing ({status}): {short}; try again later"
        quoted = _QUOTED.search(body)
        return Transient(message, wait, kind=_kind_of(status, low), says=(quoted[1] if quoted else short)[:200] or f"status {status}")
    return refused


def _lasting_error(status: int, low: str, short: str, who: str) -> ModelError | None:
    """Return the error of an answer that says the same however often it is asked for. None: it is no such answer."""
    if status == 413 or (status not in (401, 403, 429) and any(phrase in low for phrase in _TOO_LONG)):
        return ContextOverflow(f"{who} says that the request is too long: {short}")
    if status not in (401, 429) and is_refusal(low):
        return Refusal(f"{who} refused to answer ({status}): {short}; {Refusal.ADVICE}")
    if status in (401, 403):
        return NotServed(f"{who} refused the key ({status}): {short}; check the API key that is set for it")
    if status == 404:
        return NotServed(f"{who} has no such model or path ({status}): {short}; check the model's name")
    if status == 402 or (status == 429 and _is_quota_used_up(low)):
        return ModelError(f"{who} is out of quota ({status}): {short}")
    return None


def _is_quota_used_up(text: str) -> bool:
    """Whether the text of a 429 means that waiting for some minutes does not help."""
    return any(phrase in text for phrase in _NO_MONEY) or (
        any(phrase in text for phrase in _NO_MONEY_OR_BUSY) and wait_in_text(text) is None
    )


def _kind_of(status: int, text: str) -> Kind:
    if any(phrase in text for phrase in _NO_LINE):
        return "unreachable"
    return "busy" if status == 429 or status > 501 or "overloaded" in text else "broken"
