"""HTTP to one model server: a kept-alive connection, JSON answers, server-sent events, and failures in our own words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx

from codagent.errors import ModelError
from codagent.models.http.retry import Transient, error_for_status

Json = dict[str, Any]
T = TypeVar("T")
CONNECT_S, READ_S = 10.0, 300.0


class HttpClient:
    """Every request is one try and raises Transient or ModelError. `local` skips proxies and opens a connection for each request."""

    def __init__(self, url: str, *, api_key: str | None = None, local: bool = False) -> None:
        headers = {"content-type": "application/json"}
        if api_key:
            headers["authorization"] = f"Bearer {api_key}"
        if local:
            headers["connection"] = "close"  # llama.cpp drops a kept connection after it streamed
        self.url = url.rstrip("/")
        self.who = f"endpoint {self.url}"
        self.server = ""
        timeout = httpx.Timeout(READ_S, connect=CONNECT_S)
        secure = self.url.startswith("https")  # loading the certificates takes time that plain http has no use for
        self._client = httpx.Client(headers=headers, timeout=timeout, verify=secure, trust_env=not local)

    def get_json(self, path: str, body: Json | None = None) -> Json:
        """The JSON object at `path`."""
        return next(self._request(path, body, _read_objects), {})

    def post(self, path: str, body: Json) -> None:
        """Ask for something to be done, where the answer is in plain words that say no more than that it was."""
        next(self._request(path, body, _read_text))

    def stream(self, path: str, body: Json) -> Iterator[Json]:
        """Each event of the answer; a server that does not stream gives its whole answer as one."""
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
        content = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
        try:
            with self._client.stream("GET" if body is None else "POST", self.url + path, content=content) as response:
                self.server = response.headers.get("server", "")
                if response.status_code >= 300:
                    said = response.read().decode(errors="replace")
                    raise error_for_status(response.status_code, _error_text(said), response.headers, self.who)
                yield from read(response)
        except httpx.ConnectError as error:
            raise Transient(f"{self.who} refused the connection ({_reason(error)}); is the server running?") from error
        except httpx.TimeoutException as error:
            raise Transient(f"{self.who} did not answer in time; is the server overloaded?") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise ModelError(f"{self.url} is not the address of a server ({_reason(error)})") from error
        except httpx.HTTPError as error:
            raise Transient(f"{self.who} broke off ({_reason(error)}); is the server running?") from error
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
    """The JSON objects of `data:` lines. Lines end with a line feed only: other line separators may stand inside JSON."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            data = line.strip().removeprefix(b"data:").strip() if line.startswith((b"data:", b"error:")) else b""
            if data and data != b"[DONE]":  # read on to the end, so that the connection can be kept
                yield _parse_object(data)


def _parse_object(data: bytes) -> Json:
    value = json.loads(data.removeprefix(b"error:"))
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} instead of an object")
    return value


def _error_text(body: str) -> str:
    """The server's words, with its error code where it has one, without the JSON around them."""
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return body
    if not isinstance(error, dict):
        return str(error)
    kind = next((str(error[key]) for key in ("code", "type") if isinstance(error.get(key), str)), "")
    return f"{error.get('message', '')} {kind and f'[{kind}]'}".strip()


def _reason(error: Exception) -> str:
    return str(error).lower() or type(error).__name__
