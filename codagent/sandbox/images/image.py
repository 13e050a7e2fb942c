"""From a definition to an image: the shipped ones are built on request, a repository's own on first use and kept by content."""

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
from codagent.sandbox.docker.engine import connect, speaking
from codagent.sandbox.images.builder import build_image, run_script
from codagent.sandbox.images.setup import Files, Setup
from codagent.text import sanitize

Say = Callable[[str], None]

_DEBIAN = "debian:bookworm-slim"
_LOCAL_DEBIAN = ("codagent/debian", "bookworm")
_REPOSITORY = "codagent/repo"


def ensure_image(wanted: Definition, setup: Setup | None = None, *, say: Say) -> str:
    """The id of its image. What a repository sets up is built once, with network, and found again by content. It is for the caller to see
    that the user allows it."""
    client = connect()
    with speaking(f"preparing the sandbox {wanted.name}"):
        if setup is None:
            if wanted.dockerfile is not None or wanted.setup is not None:
                raise UsageError("a sandbox with a dockerfile or a setup needs the repository that they belong to")
            return _present(client, wanted, say)
        if setup.dockerfile is None:
            image = _present(client, wanted, say)
        else:
            base = _present(client, wanted, say) if "ARG BASE" in setup.dockerfile else None
            image = _from_dockerfile(client, wanted, setup, base, say)
        return image if setup.script is None else _after_script(client, wanted, setup, image, say)


def build(name: str, say: Say) -> str:
    """Builds a shipped image, and first the one that it stands on; gives its id. What has not changed is not built again."""
    shipped = load_definition(name)
    client = connect()
    with speaking(f"building {shipped.image}"):
        if name == "base":
            base = _debian(client, say)
        else:
            build("base", say)
            base = load_definition("base").image
        say(f"building {shipped.image} on {base}")
        text = (sandboxes_dir() / name / "Dockerfile").read_text()
        return build_image(client, text, {}, shipped.image, _with_base(text, base), say)


def _present(client: Any, wanted: Definition, say: Say) -> str:
    if (found := _image_id(client, wanted.image)) is not None:
        return found
    if wanted.image.startswith("codagent/"):
        raise SandboxError(f"the image {wanted.image} is missing; run `codagent sandbox build {wanted.name}`")
    say(f"pulling {wanted.image}")
    client.pull(wanted.image)
    if (found := _image_id(client, wanted.image)) is None:
        raise SandboxError(f"the image {wanted.image} could not be pulled; check its name and the engine's way to the registry")
    return found


def _debian(client: Any, say: Say) -> str:
    """A Debian to build on: one that is here, the registry's, or one made by debootstrap."""
    import docker

    local = ":".join(_LOCAL_DEBIAN)
    for tag in (_DEBIAN, local):
        if _image_id(client, tag) is not None:
            return tag
    try:
        say(f"pulling {_DEBIAN}")
        client.pull(_DEBIAN)
    except docker.errors.APIError as error:
        say(f"no image registry answers ({error.explanation})")
    if _image_id(client, _DEBIAN) is not None:
        return _DEBIAN
    say(f"making {local} with debootstrap; this takes about a minute")
    with tempfile.TemporaryFile() as archive:
        command = ["bash", str(sandboxes_dir() / "base" / "bootstrap"), _LOCAL_DEBIAN[1]]
        done = subprocess.run(command, stdout=archive, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
        if done.returncode != 0:
            raise SandboxError(f"no Debian to build on: {sanitize(_last_line(done.stderr))}")
        archive.seek(0)
        client.import_image_from_data(archive, *_LOCAL_DEBIAN)  # any readable file will do
    return local


def _from_dockerfile(client: Any, wanted: Definition, setup: Setup, base: str | None, say: Say) -> str:
    """What the engine's builder makes of the repository's Dockerfile, unless it is here. Memory and processors are bounded there, and how
    long it takes. What is not: processes, disk, and the rights of root, of which a build has all that the engine gives to a container."""
    tag = f"{_REPOSITORY}:{_digest(setup.dockerfile or '', setup.context, base or '')}"
    if (found := _image_id(client, tag)) is not None:
        return found
    say(f"building {tag}, once, with network")
    processors = min(math.ceil(wanted.cpus), client.info()["NCPU"])
    memory = wanted.memory_mb << 20
    limits = {"memory": memory, "memswap": memory, "cpusetcpus": f"0-{processors - 1}"}
    options = {"container_limits": limits, **_with_base(setup.dockerfile or "", base)}
    return build_image(client, setup.dockerfile or "", setup.context, tag, options, say)


def _with_base(text: str, base: str | None) -> dict[str, Any]:
    return {"buildargs": {"BASE": base}} if base and "ARG BASE" in text else {}


def _after_script(client: Any, wanted: Definition, setup: Setup, base: str, say: Say) -> str:
    """What the set-up's script makes of an image, unless it is here."""
    tag = f"{_REPOSITORY}:{_digest(setup.script or '', setup.files, base)}"
    if (found := _image_id(client, tag)) is not None:
        return found
    say(f"building {tag}, once, with network")
    return run_script(client, wanted, setup, base, tag)


def _digest(text: str, files: Files, base: str) -> str:
    digest = hashlib.sha256(json.dumps([base, text]).encode())
    for name, file in sorted(files.items()):
        digest.update(json.dumps([name, file.executable, file.link, len(file.data)]).encode() + file.data)
    return digest.hexdigest()[:24]


def _image_id(client: Any, image: str) -> str | None:
    import docker

    try:
        return str(client.inspect_image(image)["Id"])
    except docker.errors.ImageNotFound:
        return None


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
