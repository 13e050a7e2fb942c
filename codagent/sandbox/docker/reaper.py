"""Whose container is whose: labels that name the owning process, and the removal of what an owner left behind."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

from codagent.sandbox.docker.engine import connect, speaking


def labels(loop: str) -> dict[str, str]:
    pid = os.getpid()
    return {
        "codagent": "1",
        "codagent.loop": loop,
        "codagent.host": socket.gethostname(),
        "codagent.pid": str(pid),
        "codagent.start": process_start(pid),
    }


def reap(client: Any = None) -> list[str]:
    """Removes the containers whose owner, a process of this machine, is gone; gives their ids."""
    client = client or connect()
    with speaking("looking for containers left behind"):
        ours = {"label": ["codagent=1", f"codagent.host={socket.gethostname()}"]}
        found = [(container["Id"], container["Labels"]) for container in client.containers(all=True, filters=ours)]
        left = [name for name, marks in found if process_start(int(marks["codagent.pid"])) != marks["codagent.start"]]
        for name in left:
            remove(client, name)
        return left


def remove(client: Any, container: str) -> None:
    """Also when the engine is doing so already, or has."""
    import docker

    try:
        client.remove_container(container, force=True, v=True)
    except docker.errors.APIError as error:
        if error.status_code not in (404, 409):
            raise


def process_start(pid: int) -> str:
    """Return when a process of this machine started, as a text to compare; "" when there is no such process.

    A process is known by its id and its start together, because ids are used again.
    """
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state in "ZX" else rest[18]  # Z, X: dead, and its parent has not waited for it yet
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
    except ProcessLookupError:
        return ""
    return subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
