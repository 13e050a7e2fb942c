"""How a definition becomes a container: each protection is one line here."""

from __future__ import annotations

from typing import Any

from codagent.errors import SandboxError
from codagent.sandbox.definition import ENVIRONMENT, WORKSPACE, Definition
from codagent.sandbox.docker.reaper import labels

SETUP_FOLDER = "/setup"
# What apt and pip need of root's rights; none of them reaches beyond the container.
_SETUP_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID"]
_KEEPER = "65534:65534"  # not the agent's user, so that the agent cannot end the container's main process


def create(client: Any, image: str, definition: Definition, loop: str) -> str:
    """The id of a container that is not started yet. Its main process reads its input until that ends, and then so does the container."""
    import docker

    try:
        volumes = client.inspect_image(image)["Config"].get("Volumes") or {}
    except docker.errors.ImageNotFound as error:
        raise SandboxError(f"the image {image} is missing; run `codagent sandbox build {definition.name}`") from error
    created = client.create_container(
        image,
        entrypoint=["cat"],
        command=[],
        user=_KEEPER,
        stdin_open=True,
        hostname="sandbox",
        working_dir=WORKSPACE,
        environment=ENVIRONMENT,
        labels=labels(loop),
        healthcheck={"test": ["NONE"]},
        host_config=client.create_host_config(**_protections(definition), tmpfs=_file_systems(definition, volumes)),
        use_config_proxy=False,  # a proxy's address may hold a password
    )
    return str(created["Id"])


def create_for_setup(client: Any, image: str, definition: Definition, script: str) -> str:
    """The id of a container, not started yet, that runs a repository's set-up: as root, with network, and with the sandbox's limits of
    memory, processes and processors. Its disk is the engine's, and not bounded."""
    created = client.create_container(
        image,
        entrypoint=["/bin/bash"],
        command=["-euc", script],
        user="root",
        hostname="setup",
        working_dir=SETUP_FOLDER,
        labels=labels("setup"),
        healthcheck={"test": ["NONE"]},
        host_config=client.create_host_config(
            network_mode="bridge", cap_drop=["ALL"], cap_add=_SETUP_CAPABILITIES, security_opt=["no-new-privileges"], **_limits(definition)
        ),
    )
    return str(created["Id"])


def pids_limit(client: Any, container: str, limit: int) -> None:
    """Sets it on a running container; the SDK's update_container knows other limits only."""
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
    return {
        "mem_limit": f"{definition.memory_mb}m",
        "memswap_limit": f"{definition.memory_mb}m",
        "nano_cpus": int(definition.cpus * 1e9),
        "pids_limit": definition.pids,
        "ipc_mode": "private",
        "init": True,
        "log_config": {"Type": "none"},
    }


def _file_systems(definition: Definition, volumes: dict[str, Any]) -> dict[str, str]:
    """All that can be written lives in memory and is bounded, a volume of the image too: otherwise it would lie on the disk."""
    uid, gid = definition.user.split(":")
    own = f"uid={uid},gid={gid},mode=0755"
    shared = f"rw,exec,nosuid,nodev,size={definition.tmp_mb}m,mode=1777"
    return {
        **dict.fromkeys(volumes, shared),
        "/tmp": shared,  # noqa: S108 - a path in the sandbox
        WORKSPACE: f"rw,exec,nosuid,nodev,size={definition.workspace_mb}m,{own}",
        "/output": f"rw,noexec,nosuid,nodev,size={definition.output_mb}m,{own}",
    }
