"""Whose container is whose: labels that name the owning process, and the removal of what an owner left behind."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

from codagent.sandbox.engine import connect, speaking


def labels(loop: str) -> dict[str, str]:
    pid = os.getpid()
    return {
        "codagent": "1",
        "codagent.loop": loop,
        "codagent.host": socket.gethostname(),
        "codagent.pid": str(pid),
        "codagent.start": process_start(pid),
    }


def process_start(pid: int) -> str:
    """When a process of this machine started, as a text to compare; empty when there is none. A pid alone is used again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
    except ProcessLookupError:
        return ""
    return subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()


def reap(client: Any = None) -> list[str]:
    """Removes the containers whose owner, a process of this machine, is gone; gives their ids."""
    import docker

    client = client or connect()
    gone = []
    with speaking("looking for containers left behind"):
        ours = {"label": ["codagent=1", f"codagent.host={socket.gethostname()}"]}
        for container in client.containers(all=True, filters=ours):
            marks = container["Labels"]
            if process_start(int(marks["codagent.pid"])) == marks["codagent.start"]:
                continue
            try:
                client.remove_container(container["Id"], force=True, v=True)
                gone.append(container["Id"])
            except docker.errors.APIError as error:
                if error.status_code not in (404, 409):  # removed meanwhile, or being removed
                    raise
    return gone
