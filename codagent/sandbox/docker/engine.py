"""The way to the Docker engine: one client, its streams, and its errors as ours."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from codagent.errors import SandboxError
from codagent.text import sanitize

TO_DO = "start it (systemctl start docker, or .ci/engine in a checkout), or set DOCKER_HOST to one that runs"


def connect() -> Any:
    """A docker.APIClient that has spoken to the engine named by DOCKER_HOST, else the local one."""
    import docker
    from docker.utils import kwargs_from_env

    try:
        return docker.APIClient(**kwargs_from_env(), version="auto", timeout=120)
    except (docker.errors.DockerException, OSError) as error:
        raise SandboxError(f"no docker engine answers ({_cause(error)}); {TO_DO}") from error


@contextmanager
def speaking(doing: str) -> Iterator[None]:
    """Turns what the engine refuses, or a lost connection to it, into a SandboxError that says what was being done."""
    import docker
    import requests

    try:
        yield
    except docker.errors.APIError as error:
        raise SandboxError(f"{doing}: the docker engine refused: {sanitize(str(error.explanation or error))}") from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise SandboxError(f"{doing}: the docker engine did not answer ({_cause(error)}); {TO_DO}") from error


class Stream:
    """A connection that the SDK handed over as a file object: the socket in it, and a close that leaves nothing open."""

    def __init__(self, attached: Any) -> None:
        self._attached = attached
        self._socket = getattr(attached, "_sock", attached)  # over TLS and ssh it is the socket itself
        self.settimeout = self._socket.settimeout
        self.sendall = self._socket.sendall
        self.recv = self._socket.recv

    def close(self) -> None:
        with suppress(OSError):  # the other side may be gone
            self._socket.shutdown(socket.SHUT_RDWR)
        getattr(self._attached, "_response", self._attached).close()


def _cause(error: BaseException) -> str:
    """The innermost cause: the outer ones only say that a request failed."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__
