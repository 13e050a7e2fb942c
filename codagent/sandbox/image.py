"""From a definition to an image: the shipped ones are built on request, a repository's own on first use and kept by content."""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from codagent.errors import SandboxError, UsageError
from codagent.sandbox.definition import WORKSPACE, Definition, load_definition, sandboxes_dir
from codagent.sandbox.engine import connect, speaking

Say = Callable[[str], None]
Files = Mapping[str, Path]  # name in the build context -> where it lies

_DEBIAN = "debian:bookworm-slim"
_LOCAL_DEBIAN = ("codagent/debian", "bookworm")
_BUILD_SECONDS = 3600
_RECIPE = ".codagent.Dockerfile"  # not `Dockerfile`: the context may hold one of its own


def ensure_image(wanted: Definition, *, root: Path | None, say: Say) -> str:
    """The id of its image. What the repository at `root` sets up is built once, with network, and found again by content."""
    client = connect()
    with speaking(f"preparing the sandbox {wanted.name}"):
        if wanted.dockerfile is None and wanted.setup is None:
            return _present(client, wanted, say)
        if root is None:
            raise UsageError("a sandbox with a dockerfile or a setup needs the repository that they belong to")
        if wanted.dockerfile is None:
            image = _present(client, wanted, say)
        else:
            text, files = _own_recipe(root, wanted.dockerfile)
            base = _present(client, wanted, say) if "ARG BASE" in text else None
            image = _layer(client, text, files, base, say)
        if wanted.setup is None:
            return image
        return _layer(client, _setup_recipe(wanted, image), {name: _under(root, name) for name in wanted.files}, image, say)


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
        return _build(client, (sandboxes_dir() / name / "Dockerfile").read_text(), {}, shipped.image, base, say)


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
            raise SandboxError(f"no Debian to build on: {_last_line(done.stderr)}")
        archive.seek(0)
        client.import_image_from_data(archive, *_LOCAL_DEBIAN)  # any readable file will do
    return local


def _layer(client: Any, text: str, files: Files, base: str | None, say: Say) -> str:
    """The image that this recipe, these files and this base give, built unless it is here."""
    tag = f"codagent/repo:{_digest(text, files, base or '')}"
    if (found := _image_id(client, tag)) is not None:
        return found
    say(f"building {tag}, once, with network")
    return _build(client, text, files, tag, base, say)


def _digest(text: str, files: Files, base: str) -> str:
    digest = hashlib.sha256(json.dumps([base, text]).encode())
    for name, path in sorted(files.items()):
        mode = path.lstat().st_mode
        data = str(path.readlink()).encode() if stat.S_ISLNK(mode) else path.read_bytes()
        digest.update(json.dumps([name, mode & 0o100, len(data)]).encode() + data)
    return digest.hexdigest()[:24]


def _own_recipe(root: Path, dockerfile: str) -> tuple[str, Files]:
    """A Dockerfile and its context: the folder that it lies in, without what .dockerignore names. One that copies nothing has none."""
    from docker.utils import exclude_paths

    path = _under(root, dockerfile)
    text = path.read_text()
    if not re.search(r"^\s*(COPY|ADD)\s", text, re.MULTILINE | re.IGNORECASE):
        return text, {}
    ignore = path.parent / ".dockerignore"
    patterns = [line for line in ignore.read_text().split("\n") if line and not line.startswith("#")] if ignore.is_file() else []
    paths = {name: path.parent / name for name in exclude_paths(str(path.parent), [*patterns, ".git", ".codagent"])}
    return text, {name: path for name, path in paths.items() if path.is_symlink() or path.is_file()}


def _setup_recipe(wanted: Definition, base: str) -> str:
    copy = "COPY . .\n" if wanted.files else ""
    run = json.dumps(["/bin/bash", "-euc", wanted.setup])
    return f"FROM {base}\nUSER root\nWORKDIR /setup\n{copy}RUN {run}\nWORKDIR {WORKSPACE}\n"


def _build(client: Any, text: str, files: Files, tag: str, base: str | None, say: Say) -> str:
    with tempfile.TemporaryFile() as context:
        with tarfile.open(fileobj=context, mode="w") as archive:
            recipe = tarfile.TarInfo(_RECIPE)
            recipe.size = len(text.encode())
            archive.addfile(recipe, io.BytesIO(text.encode()))
            for name, path in sorted(files.items()):
                archive.add(path, name, recursive=False)
        context.seek(0)
        arguments = {"BASE": base} if base and "ARG BASE" in text else {}
        options = {
            "fileobj": context,
            "custom_context": True,
            "dockerfile": _RECIPE,
            "tag": tag,
            "buildargs": arguments,
            "rm": True,
            "forcerm": True,
        }
        said: list[str] = []
        for line in client.build(**options, decode=True, timeout=_BUILD_SECONDS):
            said.append(line.get("stream", ""))
            if said[-1].startswith("Step "):
                say(said[-1].strip())
            if "error" in line:
                raise SandboxError(f"building {tag} failed: {line['error'].strip()}; the last lines were:\n{_tail(said)}")
    return str(client.inspect_image(tag)["Id"])


def _image_id(client: Any, image: str) -> str | None:
    import docker

    try:
        return str(client.inspect_image(image)["Id"])
    except docker.errors.ImageNotFound:
        return None


def _under(root: Path, name: str) -> Path:
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        raise UsageError(f"codagent.toml [sandbox]: there is no file {name!r} in the repository")
    return path


def _tail(said: list[str]) -> str:
    return "\n".join("".join(said).strip().splitlines()[-20:])


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
