"""What a command in a container has printed so far is told while it runs, and the looks harm nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from codagent.sandbox.definition import Definition
from codagent.sandbox.docker.sandbox import DockerSandbox
from codagent.sandbox.output_watch import END_BYTES

pytestmark = pytest.mark.docker


@pytest.fixture
def watched(python_sandbox: Definition, wait_until_gone: Callable[[str], bool]) -> Iterator[tuple[DockerSandbox, list[str]]]:
    heard: list[str] = []
    with closing(DockerSandbox.start(python_sandbox, loop="test-watch", on_output=heard.append)) as sandbox:
        yield sandbox, heard
    assert wait_until_gone("test-watch")


def test_the_end_of_the_output_is_told_as_it_grows(watched: tuple[DockerSandbox, list[str]]) -> None:
    sandbox, heard = watched
    result = sandbox.run("echo one; sleep 2.5; seq 100000; sleep 2.5", timeout=60)
    assert heard[0] == "one\n"
    assert heard[-1].endswith("99999\n100000\n")
    assert max(map(len, heard)) <= END_BYTES
    assert result.exit_code == 0
    count = "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f; echo; done 2>/dev/null | grep -c '^bash --noprofile'"
    wait = f"for _ in $(seq 100); do shells=$({count}); [ $shells = 2 ] && break; sleep 0.1; done; echo $shells"
    assert sandbox.run(wait, timeout=30).output == "2\n"  # the one that runs commands and the spare one; the one that looked ends by itself


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
    assert result.seconds < 20
    assert sandbox.run("echo on", timeout=30).output == "on\n"
