"""What a command in a container has printed so far is told while it runs, and the looks harm nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from codagent.sandbox.definition import Definition
from codagent.sandbox.docker.sandbox import DockerSandbox
from codagent.sandbox.output_watch import END_BYTES
from tests.docker.conftest import Containers

pytestmark = pytest.mark.docker


@pytest.fixture
def watched(
    python_sandbox: Definition, client: Any, containers: Containers, wait_until_gone: Callable[..., bool]
) -> Iterator[tuple[DockerSandbox, list[str]]]:
    """A sandbox, and what was heard of its output. After each text that was heard, the file `heard` is in the workspace."""
    heard: list[str] = []

    def hear(text: str) -> None:
        heard.append(text)
        [container] = containers("test-watch", owner=os.getpid())
        client.exec_start(client.exec_create(container["Id"], ["touch", "/workspace/heard"], user=python_sandbox.user)["Id"])

    with closing(DockerSandbox.start(python_sandbox, loop="test-watch", on_output=hear)) as sandbox:
        yield sandbox, heard
    assert wait_until_gone("test-watch", owner=os.getpid())


def test_the_end_of_the_output_is_told_as_it_grows(watched: tuple[DockerSandbox, list[str]]) -> None:
    sandbox, heard = watched
    wait = "until [ -e heard ]; do sleep 0.05; done; rm heard"
    result = sandbox.run(f"echo one; {wait}; seq 100000; {wait}; {wait}", timeout=120)
    assert heard[0] == "one\n"
    assert heard[-1].endswith("99999\n100000\n")
    assert max(map(len, heard)) <= END_BYTES
    assert result.exit_code == 0
    count = "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f; echo; done 2>/dev/null | grep -c '^bash --noprofile'"
    wait = f"for _ in $(seq 600); do shells=$({count}); [ $shells = 2 ] && break; sleep 0.1; done; echo $shells"
    # The one that runs commands and the spare one are left; the one that looked ends by itself.
    assert sandbox.run(wait, timeout=120).output == "2\n"


@pytest.mark.parametrize(
    "attack",
    [
        "rm -f /output/*; mkfifo /output/000001.log; sleep 3",  # to open it could take forever
        "sleep 1.5; for p in /proc/[0-9]*; do grep -q noprofile $p/cmdline && kill -STOP ${p#/proc/}; done; sleep 3",  # all shells stop
        "sleep 1.5; kill -KILL -1",
    ],
)
def test_a_hostile_command_gains_nothing_by_it(watched: tuple[DockerSandbox, list[str]], attack: str) -> None:
    sandbox, _ = watched
    result = sandbox.run(attack, timeout=6)
    assert result.seconds < 100
    assert sandbox.run("echo on", timeout=60).output == "on\n"
