"""One sandbox for many tests, and a watch on what is left behind."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from codagent.sandbox.definition import Definition
from codagent.sandbox.docker.engine import connect
from codagent.sandbox.docker.sandbox import DockerSandbox

Containers = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def client(engine: None) -> Iterator[Any]:
    with closing(connect()) as client:
        yield client


@pytest.fixture
def containers(client: Any) -> Containers:
    """The containers of a loop on this machine. `owner` is the process that made them; None: any."""

    def of(loop: str, *, owner: int | None = None) -> list[dict[str, Any]]:
        labels = [f"codagent.loop={loop}", f"codagent.host={socket.gethostname()}"]
        if owner is not None:
            labels.append(f"codagent.pid={owner}")
        listed: list[dict[str, Any]] = client.containers(all=True, filters={"label": labels})
        return listed

    return of


@pytest.fixture
def own_host(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name of this machine that no other command knows, so that none of them reaps what a test leaves behind."""
    name = f"test-{secrets.token_hex(8)}"
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    return name


@pytest.fixture
def wait_until_gone(containers: Containers) -> Callable[..., bool]:
    """Whether a loop's containers go within a minute: the engine removes them by itself, and it can be slow beside fork bombs."""

    def gone(loop: str, *, owner: int | None = None) -> bool:
        deadline = time.monotonic() + 60
        while containers(loop, owner=owner) and time.monotonic() < deadline:
            time.sleep(0.1)
        return not containers(loop, owner=owner)

    return gone


@pytest.fixture
def sandbox(request: pytest.FixtureRequest, python_sandbox: Definition, wait_until_gone: Callable[..., bool]) -> Iterator[DockerSandbox]:
    """A fresh sandbox; after each test its container must be gone."""
    loop = f"test-{request.node.name}"[:60]
    with closing(DockerSandbox.start(python_sandbox, loop=loop)) as sandbox:
        yield sandbox
    assert wait_until_gone(loop, owner=os.getpid())
