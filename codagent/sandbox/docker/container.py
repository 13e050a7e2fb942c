"""How a sandbox's definition becomes a container. Each protection is one line here."""

from __future__ import annotations

from typing import Any

from codagent.errors import SandboxError
from codagent.sandbox.definition import ENVIRONMENT, WORKSPACE, Definition
from codagent.sandbox.docker.engine import count_processors
from codagent.sandbox.docker.reaper import owner_labels

SETUP_FOLDER = "/setup"
# What apt and pip need of root's rights; none of them reaches beyond the container.
_SETUP_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID"]
_MAIN_USER = "65534:65534"  # not the agent's user, so that the agent cannot end the container's main process


def create(client: Any, image: str, definition: Definition, loop: str) -> str:
    """Create a container for the agent or for a gate, without starting it, and return its id.

    Its main process reads its standard input until that ends, and then the container ends, too. `loop` is the loop's id, for the label.
    Raises SandboxError when the image is missing.
    """
    import docker

    try:
        volumes = client.inspect_image(image)["Config"].get("Volumes") or {}
    except docker.errors.ImageNotFound as error:
        raise SandboxError(f"the image {image} is missing; run `codagent sandbox build {definition.name}`") from error
    container = client.create_container(
        image,
        entrypoint=["cat"],
        command=[],
        user=_MAIN_USER,
        stdin_open=True,
        hostname="sandbox",
        working_dir=WORKSPACE,
        environment=ENVIRONMENT,
        labels=owner_labels(loop),
        healthcheck={"test": ["NONE"]},
        host_config=client.create_host_config(**_protections(definition), tmpfs=_file_systems(definition, volumes)),
        use_config_proxy=False,  # a proxy's address may hold a password
    )
    return str(container["Id"])


def create_for_setup(client: Any, image: str, definition: Definition, script: str) -> str:
    """Create a container for a repository's set-up, without starting it, and return its id.

    The script runs as root, with network, and with the sandbox's limits of memory, processes and processors. The disk is the engine's, and
    its use is not bounded.
    """
    container = client.create_container(
        image,
        entrypoint=["/bin/bash"],
        command=["-euc", script],
        user="root",
        hostname="setup",
        working_dir=SETUP_FOLDER,
        labels=owner_labels("setup"),
        healthcheck={"test": ["NONE"]},
        host_config=client.create_host_config(
            network_mode="bridge", cap_drop=["ALL"], cap_add=_SETUP_CAPABILITIES, security_opt=["no-new-privileges"], **_limits(definition)
        ),
    )
    return str(container["Id"])


def set_pids_limit(client: Any, container: str, limit: int) -> None:
    """Set the limit of processes of a running container. The SDK's update_container does not know this limit."""
    url = f"{client.base_url}/v{client.api_version}/containers/{container}/update"
    client.post(url, json={"PidsLimit": limit}, timeout=client.timeout).raise_for_status()


def _protections(definition: Definition) -> dict[str, Any]:
    off = definition.off
    return {
        "network_mode": "bridge" if "network" in off else "none",
        "read_only": "read_only" not in off,
        "cap_drop": [] if "capabilities" in off else ["ALL"],
        "security_opt": [] if "new_privileges" in off else ["no-new-privileges"],
        "auto_remove": True,
        **_limits(definition),
    }


def _limits(definition: Definition) -> dict[str, Any]:
    """Return the limits of a container. An engine refuses more processors than it has."""
    processors = min(definition.cpus, count_processors())
    return {
        "mem_limit": f"{definition.memory_mb}m",
        "memswap_limit": f"{definition.memory_mb}m",
        "nano_cpus": int(processors * 1e9),
        "pids_limit": definition.pids,
        "ipc_mode": "private",
        "init": True,
        "log_config": {"Type": "none"},
    }


def _file_systems(definition: Definition, volumes: dict[str, Any]) -> dict[str, str]:
    """Return the file systems that can be written, by path. All of them are in memory and bounded.

    The volumes that an image declares are among them. Otherwise they would be on the engine's disk, without bounds.
    """
    uid, gid = definition.user.split(":")
    own = f"uid={uid},gid={gid},mode=0755"
    shared = f"rw,exec,nosuid,nodev,size={definition.tmp_mb}m,mode=1777"
    return {
        **dict.fromkeys(volumes, shared),
        "/tmp": shared,  # noqa: S108 - a path in the sandbox
        WORKSPACE: f"rw,exec,nosuid,nodev,size={definition.workspace_mb}m,{own}",
        "/output": f"rw,noexec,nosuid,nodev,size={definition.output_mb}m,{own}",
    }
