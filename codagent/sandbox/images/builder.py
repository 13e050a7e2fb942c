"""How the engine makes an image: from a Dockerfile, or by a script in a container of which the rest is kept. What they print may be
hostile, and is told without what would work on a terminal."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import IO, Any

from codagent.errors import SandboxError
from codagent.sandbox.definition import WORKSPACE, Definition
from codagent.sandbox.docker.container import SETUP_FOLDER, create_for_setup
from codagent.sandbox.docker.engine import Stream
from codagent.sandbox.docker.frames import ChannelClosed, Frames
from codagent.sandbox.docker.reaper import labels, reap, remove
from codagent.sandbox.images.setup import File, Files, Setup
from codagent.text import sanitize

_SECONDS = 3600  # that a build may take
_TAIL_BYTES = 16_000
_RECIPE = ".codagent.Dockerfile"  # not `Dockerfile`: the context may hold one of its own


def build_image(client: Any, text: str, files: Files, tag: str, options: Mapping[str, Any], say: Callable[[str], None]) -> str:
    """The id of what the engine's builder makes of a Dockerfile's text and the files beside it; `options` are docker's own."""
    deadline = time.monotonic() + _SECONDS
    with tempfile.TemporaryFile() as context:
        _pack(context, {**files, _RECIPE: File(text.encode())})
        ours = {"fileobj": context, "custom_context": True, "dockerfile": _RECIPE, "tag": tag, "rm": True, "forcerm": True}
        said = ""
        for line in client.build(**ours, **options, decode=True, timeout=_SECONDS):
            step = str(line.get("stream", ""))
            said = (said + step)[-_TAIL_BYTES:]
            if step.startswith("Step "):
                say(sanitize(step).strip())
            if "error" in line:
                raise SandboxError(f"building {tag} failed: {sanitize(str(line['error'])).strip()}; the last lines were:\n{_tail(said)}")
            if time.monotonic() > deadline:
                raise SandboxError(f"building {tag} was not done after {_SECONDS} s; the last lines were:\n{_tail(said)}")
    return str(client.inspect_image(tag)["Id"])


def run_script(client: Any, wanted: Definition, setup: Setup, base: str, image: str) -> str:
    """The id of what a set-up's script makes of the image `base`, in a bounded container that is removed whatever happens; a host that is
    killed leaves it to the reaper."""
    reap(client)
    container = create_for_setup(client, base, wanted, setup.script or "")
    try:
        with tempfile.TemporaryFile() as archive:
            _pack(archive, setup.files, SETUP_FOLDER[1:])
            client.put_archive(container, "/", archive)
        code, said = _run(client, container)
        if code != 0:
            memory = f" (killed, perhaps for want of more than {wanted.memory_mb} MB)" if code == 137 else ""
            raise SandboxError(f"the set-up ended with exit code {code}{memory}; the last lines were:\n{_tail(said)}")
        client.commit(container, *image.split(":"), pause=False, conf=_kept(client, container, base))
    finally:
        remove(client, container)
    return str(client.inspect_image(image)["Id"])


def _run(client: Any, container: str) -> tuple[int, str]:
    """Start it; its exit code, and the end of what it said. SandboxError past the time limit."""
    said, deadline = b"", time.monotonic() + _SECONDS
    with closing(Stream(client.attach_socket(container, params={"stdout": 1, "stderr": 1, "stream": 1}))) as stream:
        client.start(container)
        frames = Frames(stream)
        try:
            while True:
                said = (said + frames.read(deadline)[1])[-_TAIL_BYTES:]
        except TimeoutError:
            raise SandboxError(
                f"the set-up was not done after {_SECONDS} s; the last lines were:\n{_tail(said.decode(errors='replace'))}"
            ) from None
        except ChannelClosed:
            return int(client.wait(container, timeout=60)["StatusCode"]), said.decode(errors="replace")


def _kept(client: Any, container: str, base: str) -> dict[str, Any]:
    """What an image after a set-up is configured with: as the one before, without our labels, by which whatever was made of it would be
    ours to remove, and without a proxy's address, which may hold a password."""
    before, there = client.inspect_image(base)["Config"], client.inspect_container(container)["Config"]
    added = [pair for pair in there["Env"] or () if pair not in (before["Env"] or ())]
    return {
        "Entrypoint": before["Entrypoint"] or [],
        "Cmd": before["Cmd"] or ["/bin/bash"],
        "WorkingDir": WORKSPACE,
        "Labels": dict.fromkeys(labels("setup"), ""),
        "Env": [f"{pair.partition('=')[0]}=" for pair in added],
    }


def _pack(archive: IO[bytes], files: Files, folder: str = "") -> None:
    """Writes a tar, all of root's, from the beginning of which it can be read then; `folder` is made in it, and holds the files."""
    with tarfile.open(fileobj=archive, mode="w") as tar:
        if folder:
            made = tarfile.TarInfo(folder)
            made.type, made.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(made)
        for name, file in sorted(files.items()):
            member = tarfile.TarInfo(f"{folder}/{name}" if folder else name)
            member.mode = 0o755 if file.executable else 0o644
            if file.link:
                member.type, member.linkname = tarfile.SYMTYPE, os.fsdecode(file.data)
                tar.addfile(member)
            else:
                member.size = len(file.data)
                tar.addfile(member, io.BytesIO(file.data))
    archive.seek(0)


def _tail(said: str) -> str:
    """The last lines of what a build printed, as a terminal may see them."""
    return "\n".join(line[:500] for line in sanitize(said).strip().splitlines()[-20:])
