"""The image of a sandbox's definition.

Shipped images are built on request. What a repository sets up is built at its first use, and kept under a name made from its content.
"""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import tempfile
from collections.abc import Callable
from typing import Any

from codagent.errors import SandboxError, UsageError
from codagent.sandbox.definition import Definition, load_definition, sandboxes_dir
from codagent.sandbox.docker.engine import connect, count_processors, translate_errors
from codagent.sandbox.images.builder import build_image, run_script
from codagent.sandbox.images.setup import Files, Setup
from codagent.text import sanitize

Say = Callable[[str], None]

_DEBIAN = "debian:bookworm-slim"
_LOCAL_DEBIAN = ("codagent/debian", "bookworm")
_REPOSITORY = "codagent/repo"


def ensure_image(wanted: Definition, setup: Setup | None = None, *, say: Say) -> str:
    """Return the id of a definition's image, and build first what a repository sets up, unless it is built already.

    `setup` None: the repository sets up nothing. The set-up runs with network; the caller must have made sure that the user allows it.
    Raises SandboxError when the image is missing or cannot be made, and UsageError when the definition has a set-up that was not passed.
    """
    client = connect()
    with translate_errors(f"preparing the sandbox {wanted.name}"):
        if setup is None:
            if wanted.dockerfile is not None or wanted.setup is not None:
                raise UsageError("a sandbox with a dockerfile or a setup needs the repository that they belong to")
            return _ensure_own_image(client, wanted, say)
        if setup.dockerfile is None:
            image = _ensure_own_image(client, wanted, say)
        else:
            base = _ensure_own_image(client, wanted, say) if "ARG BASE" in setup.dockerfile else None
            image = _build_dockerfile(client, wanted, setup, base, say)
        return image if setup.script is None else _run_setup(client, wanted, setup, image, say)


def build(name: str, say: Say) -> str:
    """Build a shipped image, and first the image that it is based on, and return its id. The engine reuses what has not changed.

    Raises SandboxError when a build fails.
    """
    shipped = load_definition(name)
    client = connect()
    with translate_errors(f"building {shipped.image}"):
        if name == "base":
            base = _ensure_debian(client, say)
        else:
            build("base", say)
            base = load_definition("base").image
        say(f"building {shipped.image} on {base}")
        text = (sandboxes_dir() / name / "Dockerfile").read_text()
        return build_image(client, text, {}, shipped.image, _base_argument(text, base), say)


def _ensure_own_image(client: Any, wanted: Definition, say: Say) -> str:
    """Return the id of the image that a definition names, and pull it first if needed. Shipped images are never pulled or built here."""
    if (image := _find_image(client, wanted.image)) is not None:
        return image
    if wanted.image.startswith("codagent/"):
        raise SandboxError(f"the image {wanted.image} is missing; run `codagent sandbox build {wanted.name}`")
    say(f"pulling {wanted.image}")
    client.pull(wanted.image)
    if (image := _find_image(client, wanted.image)) is None:
        raise SandboxError(f"the image {wanted.image} could not be pulled; check its name and the engine's way to the registry")
    return image


def _ensure_debian(client: Any, say: Say) -> str:
    """Return the name of a Debian image to build on: one that is present, the registry's, or one made by debootstrap."""
    import docker

    local = ":".join(_LOCAL_DEBIAN)
    for tag in (_DEBIAN, local):
        if _find_image(client, tag) is not None:
            return tag
    try:
        say(f"pulling {_DEBIAN}")
        client.pull(_DEBIAN)
    except docker.errors.APIError as error:
        say(f"no image registry answers ({error.explanation})")
    if _find_image(client, _DEBIAN) is not None:
        return _DEBIAN
    say(f"making {local} with debootstrap; this takes about a minute")
    with tempfile.TemporaryFile() as archive:
        command = ["bash", str(sandboxes_dir() / "base" / "bootstrap"), _LOCAL_DEBIAN[1]]
        done = subprocess.run(command, stdout=archive, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
        if done.returncode != 0:
            raise SandboxError(f"no Debian to build on: {sanitize(_last_line(done.stderr))}")
        archive.seek(0)
        client.import_image_from_data(archive, *_LOCAL_DEBIAN)
    return local


def _build_dockerfile(client: Any, wanted: Definition, setup: Setup, base: str | None, say: Say) -> str:
    """Return the id of the image that a repository's Dockerfile describes, and build it first unless it is built already.

    Memory, processors and the time are bounded. Not bounded are the processes, the disk, and the rights of root: a build has all that the
    engine gives to a container.
    """
    tag = f"{_REPOSITORY}:{_digest(setup.dockerfile or '', setup.context, base or '')}"
    if (image := _find_image(client, tag)) is not None:
        return image
    say(f"building {tag}, once, with network")
    processors = min(math.ceil(wanted.cpus), count_processors())
    memory = wanted.memory_mb << 20
    limits = {"memory": memory, "memswap": memory, "cpusetcpus": f"0-{processors - 1}"}
    options = {"container_limits": limits, **_base_argument(setup.dockerfile or "", base)}
    return build_image(client, setup.dockerfile or "", setup.context, tag, options, say)


def _base_argument(text: str, base: str | None) -> dict[str, Any]:
    """Return the build's argument BASE, if the Dockerfile takes one."""
    return {"buildargs": {"BASE": base}} if base and "ARG BASE" in text else {}


def _run_setup(client: Any, wanted: Definition, setup: Setup, base: str, say: Say) -> str:
    """Return the id of the image that a set-up's script makes of `base`, and run the script first unless the image is made already."""
    tag = f"{_REPOSITORY}:{_digest(setup.script or '', setup.files, base)}"
    if (image := _find_image(client, tag)) is not None:
        return image
    say(f"building {tag}, once, with network")
    return run_script(client, wanted, setup, base, tag)


def _digest(text: str, files: Files, base: str) -> str:
    """Return a name for what is made of these contents; the same contents have the same name."""
    digest = hashlib.sha256(json.dumps([base, text]).encode())
    for name, file in sorted(files.items()):
        digest.update(json.dumps([name, file.executable, file.link, len(file.data)]).encode() + file.data)
    return digest.hexdigest()[:24]


def _find_image(client: Any, image: str) -> str | None:
    """Return the id of an image. None: the engine does not have it."""
    import docker

    try:
        return str(client.inspect_image(image)["Id"])
    except docker.errors.ImageNotFound:
        return None


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
