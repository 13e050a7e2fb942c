"""Reads the body of an answer: one JSON object, or a stream of server-sent events, whatever the server calls it. Finds errors in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from codagent.text import parse_json

Json = dict[str, Any]
END: Json = {"end": True}  # the server says that its answer is whole; known by its identity
_MAX_BYTES = 64 << 20  # of a line, or of an answer that is no stream
_FIELD = re.compile(rb"\s*(?:data|event|id|retry|error)?:")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_STATUS_OF_KIND = {
    "authentication": 401,
    "invalid_api_key": 401,
    "permission": 403,
    "not_found": 404,
    "insufficient_quota": 402,
    "rate_limit": 429,
    "invalid_request": 400,
    "badrequest": 400,
}


def read_objects(chunks: Iterator[bytes]) -> Iterator[Json]:
    """Yield the JSON objects of an answer. After the only object of an answer that is no stream, and for `[DONE]`, yield END.

    Raises ValueError for anything else.
    """
    began = b""
    for chunk in chunks:
        began += chunk
        if len(began.lstrip(b"\xef\xbb\xbf \t\r\n")) >= len("retry:"):
            break
    began = began.removeprefix(b"\xef\xbb\xbf")
    if _FIELD.match(began):
        yield from _read_events(began, chunks)
        return
    whole = bytearray(began)
    for chunk in chunks:
        whole += chunk
        if len(whole) > _MAX_BYTES:
            raise ValueError("an answer without an end")
    yield _parse_object(bytes(whole))
    yield END


def find_error(event: Json) -> tuple[int, str] | None:
    """Return the status and the text of the error that an event holds. None: it holds none. The status is 500 when nothing tells it."""
    choices = event.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    error = event.get("error") or first.get("error")
    if not error and "error" in (event.get("type"), event.get("object")):
        error = event
    if not error:
        return None
    if not isinstance(error, dict):
        return 500, str(error)
    words = " ".join(str(error[key]).lower() for key in ("type", "code", "status") if isinstance(error.get(key), str))
    numbers = [int(error[key]) for key in ("code", "status", "status_code") if re.fullmatch(r"[45]\d\d", str(error.get(key)))]
    known = [status for kind, status in _STATUS_OF_KIND.items() if kind in words]
    return next(iter([*numbers, *known]), 500), describe_error(error)


def error_text(body: str) -> str:
    """Return the server's error message and error code. Returns `body` itself when it is not JSON of the usual form."""
    try:
        error = parse_json(body)["error"]
    except (ValueError, KeyError, TypeError):
        return body
    return describe_error(error) if isinstance(error, dict) else str(error)


def describe_error(error: Json) -> str:
    """Return the message of an error, the parameter that it is about, its code or its type, and what Google's APIs add."""
    kind = next((str(error[key]) for key in ("code", "type") if isinstance(error.get(key), str)), "")
    param = error.get("param")
    named = f" ({param})" if isinstance(param, str) and param and param not in str(error.get("message")) else ""
    return f"{error.get('message', '')}{named} {kind and f'[{kind}]'}{_describe_details(error.get('details'))}".strip()


def _describe_details(details: Any) -> str:
    """Return which quotas of Google are used up, and when to try again. "": the details tell neither."""
    found = [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []
    lists = [violations for detail in found if isinstance(violations := detail.get("violations"), list)]
    quotas = [str(each["quotaId"]) for each in chain(*lists) if isinstance(each, dict) and "quotaId" in each]
    delays = [f"retry in {detail['retryDelay']}" for detail in found if "retryDelay" in detail]
    return f" ({', '.join(told)})" if (told := [*quotas, *delays]) else ""


def _read_events(rest: bytes, chunks: Iterator[bytes]) -> Iterator[Json]:
    """Yield the JSON objects in the `data:` lines of a stream.

    Only line feeds and carriage returns end a line, because other line separators may occur inside JSON. An object may take several lines.
    What is left after the last line is an object that was cut off, unless it can be read.
    """
    data = b""
    for lines in _split_lines(rest, chunks):
        for line in lines:
            if line.startswith((b"data:", b"error:")):
                data += line.removeprefix(b"data:").strip()
            elif data and not line.strip():
                yield _parse_object(data)  # raises, as it could not be read before
            if data == b"[DONE]":
                yield END  # the stream is read on to its end, so that the connection can be used again
                data = b""
            try:
                found = _parse_object(data) if data else None
            except ValueError:
                continue
            if found is not None:
                yield found
                data = b""


def _split_lines(rest: bytes, chunks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Yield the lines of a stream, those together that came together. The last line needs no end."""
    pieces: list[bytes] = []
    size = 0
    for chunk in chain([rest], chunks):
        lines = _LINE_END.split(chunk)
        pieces.append(lines[0])
        size += len(lines[0])
        if size > _MAX_BYTES:
            raise ValueError("a line without an end")
        if len(lines) > 1:
            yield [b"".join(pieces), *lines[1:-1]]
            pieces, size = [lines[-1]], len(lines[-1])
    yield [b"".join(pieces)]


def _parse_object(data: bytes) -> Json:
    value = parse_json(data.removeprefix(b"error:").decode(), strict=True)
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} instead of an object")
    return value
