"""HTTP to one model server: a connection that is kept open, JSON answers, server-sent events, and clear error messages."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import httpx2

from codagent.errors import ModelError
from codagent.models.http.events import error_text, find_error, read_objects
from codagent.models.http.keys import clean_key
from codagent.models.http.retry import Transient, error_for_status
from codagent.redaction import hide_secrets, remember_named
from codagent.text import replace_unencodable

Json = dict[str, Any]
T = TypeVar("T")
CONNECT_S, READ_S = 10.0, 300.0
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class HttpClient:
    """A client for one server. Each request is tried once; it raises Transient for a failure that may pass, ModelError for any other."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        local: bool = False,
        headers: Mapping[str, str] = NO_HEADERS,
        read_s: float = READ_S,
    ) -> None:
        """Prepare requests to `url`. `local` ignores proxies and opens a connection for each request. `headers` are sent with each.

        `read_s` is how long the server may be silent. Raises UsageError when the key cannot be sent.
        """
        key = clean_key(api_key)
        remember_named({**os.environ, **headers})
        sent = {"content-type": "application/json"}
        if key:
            sent["authorization"] = f"Bearer {key}"
        sent |= headers
        if local:
            sent["connection"] = "close"  # llama.cpp drops a kept connection after it streamed
        self.url = url.rstrip("/")
        self.who = f"endpoint {self.url}"
        self.server = ""
        timeout = httpx2.Timeout(read_s, connect=min(CONNECT_S, read_s))
        secure = self.url.startswith("https")  # loading certificates takes time, and plain http needs none
        self._client = httpx2.Client(headers=sent, timeout=timeout, verify=secure, trust_env=not local)

    def get_json(self, path: str, body: Json | None = None) -> Json:
        """Return the JSON object at `path`. With a `body` the request is a POST, else a GET."""
        return next(self._request(path, body, _read_objects), {})

    def post(self, path: str, body: Json) -> None:
        """Send `body` to `path` and ignore the text of the answer."""
        next(self._request(path, body, _read_text))

    def stream(self, path: str, body: Json) -> Iterator[Json]:
        """Yield each event of the answer, and END where the server says that it is whole.

        If the server does not stream, its answer is one event. An error in the answer is raised like one with an HTTP status.
        """
        for event in self._request(path, body, _read_objects):
            error = find_error(event)
            if error:
                raise error_for_status(error[0], hide_secrets(error[1]), {}, self.who)
            yield event

    def close(self) -> None:
        self._client.close()

    def _request(self, path: str, body: Json | None, read: Callable[[httpx2.Response], Iterator[T]]) -> Iterator[T]:
        """Send a request and yield what `read` yields of its response. Translates each failure into Transient or ModelError."""
        text = None if body is None else replace_unencodable(json.dumps(body, ensure_ascii=False, separators=(",", ":")))
        content = None if text is None else text.encode(errors="replace")
        try:
            with self._client.stream("GET" if body is None else "POST", self.url + path, content=content) as response:
                self.server = response.headers.get("server", "")
                if response.status_code >= 300:
                    text = response.read().decode(errors="replace")
                    raise error_for_status(response.status_code, hide_secrets(error_text(text)), response.headers, self.who)
                yield from read(response)
        except httpx2.ConnectError as error:
            raise Transient(f"{self.who} refused the connection ({_reason(error)}); is the server running?", kind="unreachable") from error
        except httpx2.TimeoutException as error:
            raise Transient(f"{self.who} did not answer in time; is the server overloaded?") from error
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise ModelError(f"{self.url} is not the address of a server ({_reason(error)})") from error
        except httpx2.HTTPError as error:
            when = " in the middle of an answer" if "complete message body" in str(error) else f" ({_reason(error)})"
            raise Transient(f"{self.who} closed the connection{when}; is the server running?") from error
        except ValueError as error:
            raise Transient(f"{self.who} sent something that is not JSON ({error}); is it an OpenAI-compatible server?") from error


def _read_objects(response: httpx2.Response) -> Iterator[Json]:
    return read_objects(response.iter_bytes())


def _read_text(response: httpx2.Response) -> Iterator[str]:
    yield response.read().decode(errors="replace")


def _reason(error: Exception) -> str:
    return hide_secrets(str(error).lower()) or type(error).__name__
