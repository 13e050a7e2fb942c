"""The connection to the Docker engine: one client, its streams, and its errors as SandboxError."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from typing import Any

from codagent.errors import SandboxError
from codagent.sandbox.docker.address import Address, find_addresses
from codagent.text import sanitize

START_HINT = "start it (systemctl start docker, or .ci/engine in a checkout), or set DOCKER_HOST to one that runs"
# The limits of a container that a sandbox needs, by their names in `docker info`.
_LIMITS = {"MemoryLimit": "limits of memory", "PidsLimit": "limits of processes", "CpuCfsQuota": "limits of processors"}


def connect() -> Any:
    """Return a docker.APIClient. The engine has answered this process. Raises SandboxError, which names each address that was tried."""
    return _connect_first()[0]


def describe_engine() -> str:
    """Return the engine's version, its address, what named that address, and what the engine lacks that a sandbox needs.

    Raises SandboxError when no engine answers, and when it runs no Linux containers.
    """
    client, address = _connect_first()
    with closing(client), translate_errors("asking the docker engine about itself"):
        version, facts = client.version()["Version"], client.info()
    where = f"{version} at {address.url} ({address.named_by})"
    if facts.get("OSType", "linux") != "linux":
        raise SandboxError(f"{where} runs {facts['OSType']} containers; switch it to Linux containers")
    lacks = [title for key, title in _LIMITS.items() if not facts.get(key, facts.get(key.replace("Cpu", "CPU"), True))]
    if not any("seccomp" in option for option in facts.get("SecurityOptions") or []):
        lacks.append("a filter of system calls (seccomp)")
    return f"{where}; it lacks {', '.join(lacks)}" if lacks else where


def _connect_first() -> tuple[Any, Address]:
    """Return a client of the first engine that answers, and its address."""
    import docker

    failures = []
    for address in find_addresses():
        try:
            version = negotiate_version(address)
            return docker.APIClient(base_url=address.url, tls=_tls(address), version=version, timeout=120), address
        except (docker.errors.DockerException, OSError, ValueError) as error:
            failures.append((f"at {address.url} ({address.named_by}: {sanitize(_innermost_cause(error))})", error))
    tried = ", ".join(text for text, _ in failures)
    raise SandboxError(f"no docker engine answers {tried}; {START_HINT}") from failures[0][1]


@cache
def negotiate_version(address: Address) -> str:
    """Return the version of the engine's API. It is asked for once, because each question costs the engine some 10 ms."""
    import docker

    with closing(docker.APIClient(base_url=address.url, tls=_tls(address), version="auto", timeout=120)) as client:
        return str(client.api_version)


@cache
def count_processors() -> int:
    """Return how many processors the engine has. It is asked once, as for its version. Raises SandboxError as `connect` does."""
    with closing(connect()) as client, translate_errors("asking the docker engine about itself"):
        return int(client.info()["NCPU"])


def _tls(address: Address) -> Any:
    """Return the docker.tls.TLSConfig of a connection; False when it is not encrypted."""
    from docker.tls import TLSConfig

    folder = address.certificates
    if folder is None:
        return False
    ca, certificate, key = (str(folder / name) if (folder / name).exists() else None for name in ("ca.pem", "cert.pem", "key.pem"))
    return TLSConfig(client_cert=(certificate, key) if certificate and key else None, ca_cert=ca, verify=address.verify)


@contextmanager
def translate_errors(doing: str) -> Iterator[None]:
    """Turn a refusal of the engine, or a lost connection to it, into a SandboxError that begins with `doing`."""
    import docker
    import requests

    try:
        yield
    except docker.errors.APIError as error:
        raise SandboxError(f"{doing}: the docker engine refused: {sanitize(str(error.explanation or error))}") from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise SandboxError(f"{doing}: the docker engine did not answer ({_innermost_cause(error)}); {START_HINT}") from error


class Stream:
    """A connection that the SDK returns as a file object. This class gives the socket in it, and a `close` that leaves nothing open."""

    def __init__(self, attached: Any) -> None:
        self._attached = attached
        self._socket = getattr(attached, "_sock", attached)  # over TLS and ssh it is the socket itself
        self.settimeout = self._socket.settimeout
        self.sendall = self._socket.sendall
        self.recv = self._socket.recv

    def close(self) -> None:
        with suppress(OSError):  # the other side may have closed already
            self._socket.shutdown(socket.SHUT_RDWR)
        getattr(self._attached, "_response", self._attached).close()


def _innermost_cause(error: BaseException) -> str:
    """Return the message of the innermost cause. The outer errors only say that a request failed."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__
