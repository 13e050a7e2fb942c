"""HTTP to one model server: a connection that is kept open, JSON answers, server-sent events, and clear error messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx

from codagent.errors import ModelError
from codagent.models.http.retry import Transient, error_for_status
from codagent.text import parse_json, replace_unencodable

Json = dict[str, Any]
T = TypeVar("T")
CONNECT_S, READ_S = 10.0, 300.0


class HttpClient:
    """A client for one server. Each request is tried once; it raises Transient for a failure that may pass, ModelError for any other."""

    def __init__(self, url: str, *, api_key: str | None = None, local: bool = False) -> None:
        """Prepare requests to `url`. `local` ignores proxies and opens a connection for each request."""
        headers = {"content-type": "application/json"}
        if api_key:
            headers["authorization"] = f"Bearer {api_key}"
        if local:
            headers["connection"] = "close"  # llama.cpp drops a kept connection after it streamed
        self.url = url.rstrip("/")
        self.who = f"endpoint {self.url}"
        self.server = ""
        timeout = httpx.Timeout(READ_S, connect=CONNECT_S)
        secure = self.url.startswith("https")  # loading certificates takes time, and plain http needs none
        self._client = httpx.Client(headers=headers, timeout=timeout, verify=secure, trust_env=not local)

    def get_json(self, path: str, body: Json | None = None) -> Json:
        """Return the JSON object at `path`. With a `body` the request is a POST, else a GET."""
        return next(self._request(path, body, _read_objects), {})

    def post(self, path: str, body: Json) -> None:
        """Send `body` to `path` and ignore the text of the answer."""
        next(self._request(path, body, _read_text))

    def stream(self, path: str, body: Json) -> Iterator[Json]:
        """Yield each event of the answer. If the server does not stream, the whole answer is one event."""
        for event in self._request(path, body, _read_objects):
            error = event.get("error")
            if error:
                text = error if isinstance(error, str) else json.dumps(error)
                code = error.get("code") if isinstance(error, dict) else None
                raise error_for_status(code if isinstance(code, int) and code >= 400 else 500, text, {}, self.who)
            yield event

    def close(self) -> None:
        self._client.close()

    def _request(self, path: str, body: Json | None, read: Callable[[httpx.Response], Iterator[T]]) -> Iterator[T]:
        """Send a request and yield what `read` yields of its response. Translates each failure into Transient or ModelError."""
        text = None if body is None else replace_unencodable(json.dumps(body, ensure_ascii=False, separators=(",", ":")))
        content = None if text is None else text.encode(errors="replace")
        try:
            with self._client.stream("GET" if body is None else "POST", self.url + path, content=content) as response:
                self.server = response.headers.get("server", "")
                if response.status_code >= 300:
                    text = response.read().decode(errors="replace")
                    raise error_for_status(response.status_code, _error_text(text), response.headers, self.who)
                yield from read(response)
        except httpx.ConnectError as error:
            raise Transient(f"{self.who} refused the connection ({_reason(error)}); is the server running?") from error
        except httpx.TimeoutException as error:
            raise Transient(f"{self.who} did not answer in time; is the server overloaded?") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise ModelError(f"{self.url} is not the address of a server ({_reason(error)})") from error
        except httpx.HTTPError as error:
            raise Transient(f"{self.who} closed the connection ({_reason(error)}); is the server running?") from error
        except ValueError as error:
            raise Transient(f"{self.who} sent something that is not JSON ({error}); is it an OpenAI-compatible server?") from error


def _read_objects(response: httpx.Response) -> Iterator[Json]:
    if "event-stream" in response.headers.get("content-type", ""):
        yield from _read_events(response.iter_bytes())
    else:
        yield _parse_object(response.read())


def _read_text(response: httpx.Response) -> Iterator[str]:
    yield response.read().decode(errors="replace")


def _read_events(chunks: Iterator[bytes]) -> Iterator[Json]:
    """Yield the JSON objects in the `data:` lines of a stream.

    Only a line feed ends a line, because other line separators may occur inside JSON.
    """
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            data = line.strip().removeprefix(b"data:").strip() if line.startswith((b"data:", b"error:")) else b""
            if data and data != b"[DONE]":  # the stream is read to its end, so that the connection can be used again
                yield _parse_object(data)


def _parse_object(data: bytes) -> Json:
    value = parse_json(data.removeprefix(b"error:").decode(), strict=True)
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} instead of an object")
    return value


def _error_text(body: str) -> str:
    """Return the server's error message and error code. Returns `body` itself when it is not JSON of the usual form."""
    try:
        error = parse_json(body)["error"]
    except (ValueError, KeyError, TypeError):
        return body
    if not isinstance(error, dict):
        return str(error)
    kind = next((str(error[key]) for key in ("code", "type") if isinstance(error.get(key), str)), "")
    return f"{error.get('message', '')} {kind and f'[{kind}]'}".strip()


def _reason(error: Exception) -> str:
    return str(error).lower() or type(error).__name__
