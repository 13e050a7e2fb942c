"""Whatever ends the host process, no container stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codagent.sandbox.definition import Definition
from codagent.sandbox.docker.container import create
from codagent.sandbox.docker.reaper import owner_labels, process_start, reap
from codagent.sandbox.docker.sandbox import DockerSandbox
from tests.docker.conftest import Containers

pytestmark = pytest.mark.docker


HOST = """
import socket, sys
socket.gethostname = lambda: sys.argv[2]
from codagent.sandbox.definition import load_definition
from codagent.sandbox.docker.sandbox import DockerSandbox
sandbox = DockerSandbox.start(load_definition("python"), loop=sys.argv[1])
print("started", flush=True)
sandbox.run("setsid sleep 300 & sleep 300", timeout=300)
"""
UNSTARTED = """
import os, signal, socket, sys
socket.gethostname = lambda: sys.argv[2]
from codagent.sandbox.docker.container import create
from codagent.sandbox.definition import load_definition
from codagent.sandbox.docker.engine import connect
create(connect(), "codagent/python", load_definition("python"), sys.argv[1])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_host_leaves_no_container(
    python_sandbox: Definition, own_host: str, containers: Containers, wait_until_gone: Callable[[str], bool]
) -> None:
    with subprocess.Popen([sys.executable, "-c", HOST, "test-killed", own_host], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "started\n"
        assert len(containers("test-killed")) == 1
        host.send_signal(signal.SIGKILL)
    assert wait_until_gone("test-killed")


def test_the_reaper_finds_what_was_made_and_never_started(python_sandbox: Definition, own_host: str, containers: Containers) -> None:
    subprocess.run([sys.executable, "-c", UNSTARTED, "test-unstarted", own_host], check=False)
    [left] = containers("test-unstarted")
    assert left["Id"] in reap()
    assert containers("test-unstarted") == []


def test_the_reaper_spares_what_has_a_living_owner(python_sandbox: Definition, own_host: str, client: Any, containers: Containers) -> None:
    create(client, python_sandbox.image, python_sandbox, "test-mine")
    [mine] = containers("test-mine")
    assert mine["Id"] not in reap()
    client.remove_container(mine["Id"])


@pytest.mark.parametrize("pid", [None, "", "x", "-1", "9" * 5000, "٣"])
def test_labels_that_name_no_process_name_no_owner(python_sandbox: Definition, client: Any, pid: str | None) -> None:
    labels = {**owner_labels("test-labels"), "codagent.start": "1", "codagent.pid": pid}
    named = {name: value for name, value in labels.items() if value is not None}
    container = client.create_container(python_sandbox.image, "true", labels=named)
    assert container["Id"] not in reap()
    client.remove_container(container["Id"])


def test_a_start_reaps_before_it_begins(
    python_sandbox: Definition, own_host: str, containers: Containers, wait_until_gone: Callable[[str], bool]
) -> None:
    subprocess.run([sys.executable, "-c", UNSTARTED, "test-before", own_host], check=False)
    DockerSandbox.start(python_sandbox, loop="test-after").close()
    assert containers("test-before") == []
    assert wait_until_gone("test-after")


def test_a_process_id_that_is_used_again_is_another_process() -> None:
    first = process_start(os.getpid())
    with subprocess.Popen(["sleep", "60"]) as other:
        assert process_start(other.pid) not in ("", first)
        other.kill()
    assert process_start(other.pid) == ""


def test_closing_does_not_wait(python_sandbox: Definition, wait_until_gone: Callable[..., bool]) -> None:
    began = time.monotonic()
    sandbox = DockerSandbox.start(python_sandbox, loop="test-close")
    sandbox.run("true", timeout=60)
    started = time.monotonic()
    sandbox.close()
    sandbox.close()
    assert time.monotonic() - started < started - began  # to start a container takes as long as to remove one, on a busy machine, too
    assert wait_until_gone("test-close", owner=os.getpid())


def test_many_lost_shells_leave_no_open_files(python_sandbox: Definition) -> None:
    sandbox = DockerSandbox.start(python_sandbox, loop="test-files")
    sandbox.run("kill -KILL -1", timeout=60)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        sandbox.run("kill -KILL -1", timeout=60)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    sandbox.close()
