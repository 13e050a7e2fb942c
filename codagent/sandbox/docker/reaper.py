"""Which process owns a container, by labels, and the removal of containers whose owner has died."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codagent.sandbox.docker.engine import connect, translate_errors


def owner_labels(loop: str) -> dict[str, str]:
    """Return the labels that name this process as the owner of a container. `loop` is the id of the loop that the container is for."""
    pid = os.getpid()
    return {
        "codagent": "1",
        "codagent.loop": loop,
        "codagent.host": socket.gethostname(),
        "codagent.pid": str(pid),
        "codagent.start": process_start(pid),
    }


def reap(client: Any = None) -> list[str]:
    """Remove the containers whose owner, a process of this machine, has died, and return their ids.

    `client`: None connects to the engine first. Raises SandboxError when the engine does not answer.
    """
    client = client or connect()
    with translate_errors("looking for containers left behind"):
        filters = {"label": ["codagent=1", f"codagent.host={socket.gethostname()}"]}
        containers = client.containers(all=True, filters=filters)
        orphans = [container["Id"] for container in containers if _has_lost_owner(container["Labels"])]
        for container in orphans:
            remove(client, container)
        return orphans


def remove(client: Any, container: str) -> None:
    """Remove a container, running or not. Nothing happens when it is removed already, or being removed."""
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


def _has_lost_owner(labels: Mapping[str, str]) -> bool:
    """Return whether the owner that the labels name has died. False when they name none, as the labels of a stranger's image may."""
    pid, start = labels.get("codagent.pid", ""), labels.get("codagent.start")
    return start is not None and re.fullmatch("[0-9]{1,9}", pid) is not None and process_start(int(pid)) != start
