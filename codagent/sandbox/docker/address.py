"""The address of the Docker engine: the one that the docker command uses, or else the sockets at which engines usually listen."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codagent.errors import SandboxError
from codagent.files import expand_user

DEFAULT_SOCKET = Path("/var/run/docker.sock")


@dataclass(frozen=True, slots=True)
class Address:
    """An address at which an engine may listen."""

    url: str  # as docker writes it
    named_by: str  # what has chosen this address, for messages
    certificates: Path | None = None  # a folder with ca.pem, cert.pem and key.pem; None: the connection is not encrypted
    verify: bool = True  # False accepts a server whose certificate is not signed by that ca


def find_addresses() -> tuple[Address, ...]:
    """Find where to look for an engine, in order; there is at least one address.

    DOCKER_HOST, else DOCKER_CONTEXT, else the current context of the docker configuration is the only address when there is one: another
    engine is not what the user chose. Raises SandboxError when a context is named that is not there or cannot be read.
    """
    if url := os.environ.get("DOCKER_HOST"):
        encrypted, folder = os.environ.get("DOCKER_TLS_VERIFY"), os.environ.get("DOCKER_CERT_PATH")
        certificates = Path(folder) if folder else _config_folder() if encrypted else None
        return (Address(url, "DOCKER_HOST", certificates, bool(encrypted)),)
    name, chosen_by = os.environ.get("DOCKER_CONTEXT"), "DOCKER_CONTEXT"
    if not name:
        name, chosen_by = _current_context(), "`docker context use`"
    if name and name != "default":
        return (_read_context(name, chosen_by),)
    usual = _list_usual_sockets()
    here = [Address(f"unix://{path}", title) for path, title in usual if path.is_socket()]
    return tuple(here) or (Address(f"unix://{DEFAULT_SOCKET}", usual[0][1]),)


def _list_usual_sockets() -> list[tuple[Path, str]]:
    """Return the sockets at which engines listen for this user, with the engine's name, docker's own first."""
    home, runtime = expand_user("~"), Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    colima = [Path(os.environ["COLIMA_HOME"])] if os.environ.get("COLIMA_HOME") else [home / ".colima", config / "colima"]
    return [
        (DEFAULT_SOCKET, "the default socket"),
        (runtime / "docker.sock", "rootless Docker"),
        (home / ".docker/run/docker.sock", "Docker Desktop"),
        (home / ".docker/desktop/docker.sock", "Docker Desktop"),
        (home / ".orbstack/run/docker.sock", "OrbStack"),
        *((folder / "default/docker.sock", "Colima") for folder in colima),
        (home / ".rd/docker.sock", "Rancher Desktop"),
        (runtime / "podman/podman.sock", "Podman"),
        (home / ".local/share/containers/podman/machine/podman.sock", "Podman"),
        (Path("/run/podman/podman.sock"), "Podman"),
    ]


def _config_folder() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or expand_user("~/.docker"))


def _current_context() -> str:
    """Return the name of the context in the docker configuration; "" when it names none."""
    file = _config_folder() / "config.json"
    try:
        return str(_read_json(file).get("currentContext") or "")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _read_context(name: str, chosen_by: str) -> Address:
    """Return the address of a context's engine. docker keeps a context under the SHA-256 of its name."""
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
    file = _config_folder() / "contexts" / "meta" / digest / "meta.json"
    try:
        endpoint = _read_json(file)["Endpoints"]["docker"]
        url, verify = str(endpoint["Host"]), not endpoint.get("SkipTLSVerify", False)
    except (FileNotFoundError, NotADirectoryError):
        raise SandboxError(
            f"the docker context {name!r}, chosen by {chosen_by}, is not there; see `docker context ls`, or set DOCKER_HOST"
        ) from None
    except (LookupError, TypeError, AttributeError):
        raise SandboxError(
            f"the docker context {name!r} has no docker endpoint in {file}; choose another with `docker context use`"
        ) from None
    certificates = _config_folder() / "contexts" / "tls" / digest / "docker"
    return Address(url, f"the docker context {name!r}", certificates if certificates.is_dir() else None, verify)


def _read_json(file: Path) -> dict[str, Any]:
    """Return the object in a file of docker's configuration. Raises FileNotFoundError when there is no such file."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise SandboxError(f"{file} cannot be read ({error}); mend it, or set DOCKER_HOST") from error
    if not isinstance(content, dict):
        raise SandboxError(f"{file} is not docker's configuration: it holds no JSON object; mend it, or set DOCKER_HOST")
    return content
