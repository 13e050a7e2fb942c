"""How the engine makes an image: from a Dockerfile, or from a container in which a script has run.

What a build prints may be hostile. Control characters are removed from it before a person sees it.
"""

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
from codagent.sandbox.docker.reaper import owner_labels, reap, remove
from codagent.sandbox.images.setup import File, Files, Setup
from codagent.text import sanitize

_SECONDS = 3600  # that a build may take
_TAIL_BYTES = 16_000
_DOCKERFILE = ".codagent.Dockerfile"  # not `Dockerfile`: the context may hold one of its own


def build_image(client: Any, text: str, files: Files, tag: str, options: Mapping[str, Any], say: Callable[[str], None]) -> str:
    """Build an image from a Dockerfile's text and the files of its context, and return its id. `options` are those of the SDK's `build`.

    Raises SandboxError when the build fails or takes too long. A build that prints nothing is ended an hour after its last line.
    """
    deadline = time.monotonic() + _SECONDS
    with tempfile.TemporaryFile() as context:
        _pack(context, {**files, _DOCKERFILE: File(text.encode())})
        source = {"fileobj": context, "custom_context": True, "dockerfile": _DOCKERFILE, "tag": tag, "rm": True, "forcerm": True}
        printed = ""
        for line in client.build(**source, **options, labels=_blank_labels(), decode=True, timeout=_SECONDS):
            step = str(line.get("stream", ""))
            printed = (printed + step)[-_TAIL_BYTES:]
            if step.startswith("Step "):
                say(sanitize(step).strip())
            if "error" in line:
                raise _failure(f"building {tag} failed: {sanitize(str(line['error'])).strip()}", printed)
            if time.monotonic() > deadline:
                raise _failure(f"building {tag} was not done after {_SECONDS} s", printed)
    return str(client.inspect_image(tag)["Id"])


def run_script(client: Any, wanted: Definition, setup: Setup, base: str, image: str) -> str:
    """Run a set-up's script in a container of the image `base`, make the image `image` of the result, and return its id.

    The container is bounded, and removed whatever happens. If this process is killed, the reaper removes it. Raises SandboxError when the
    script fails or takes too long.
    """
    reap(client)
    container = create_for_setup(client, base, wanted, setup.script or "")
    try:
        with tempfile.TemporaryFile() as archive:
            _pack(archive, setup.files, SETUP_FOLDER[1:])
            client.put_archive(container, "/", archive)
        code, printed = _run_container(client, container)
        if code != 0:
            memory = f" (killed, perhaps for want of more than {wanted.memory_mb} MB)" if code == 137 else ""
            raise _failure(f"the set-up ended with exit code {code}{memory}", printed)
        client.commit(container, *image.split(":"), pause=False, conf=_image_config(client, container, base))
    finally:
        remove(client, container)
    return str(client.inspect_image(image)["Id"])


def _run_container(client: Any, container: str) -> tuple[int, str]:
    """Start a container and wait for its end. Return its exit code and the end of what it printed.

    Raises SandboxError past the time limit.
    """
    printed, deadline = b"", time.monotonic() + _SECONDS
    with closing(Stream(client.attach_socket(container, params={"stdout": 1, "stderr": 1, "stream": 1}))) as stream:
        client.start(container)
        frames = Frames(stream)
        try:
            while True:
                printed = (printed + frames.read(deadline)[1])[-_TAIL_BYTES:]
        except TimeoutError:
            raise _failure(f"the set-up was not done after {_SECONDS} s", printed.decode(errors="replace")) from None
        except ChannelClosed:
            return int(client.wait(container, timeout=60)["StatusCode"]), printed.decode(errors="replace")


def _image_config(client: Any, container: str, base: str) -> dict[str, Any]:
    """Return the configuration of an image made by a set-up: that of the image `base`, without what the container has added to it.

    A proxy's address may hold a password, so the environment variables that the container has added become empty.
    """
    before, after = client.inspect_image(base)["Config"], client.inspect_container(container)["Config"]
    added = [pair for pair in after["Env"] or () if pair not in (before["Env"] or ())]
    return {
        "Entrypoint": before["Entrypoint"] or [],
        "Cmd": before["Cmd"] or ["/bin/bash"],
        "WorkingDir": WORKSPACE,
        "Labels": _blank_labels(),
        "Env": [f"{pair.partition('=')[0]}=" for pair in added],
    }


def _blank_labels() -> dict[str, str]:
    """Return labels for an image that name no owner. The containers of a user who runs the image inherit them, and are not reaped."""
    return dict.fromkeys(owner_labels("setup"), "")


def _pack(archive: IO[bytes], files: Files, folder: str = "") -> None:
    """Write files, all of them root's, as a tar to `archive`, and go back to its beginning.

    `folder` is made in it and holds the files. "": they are at the top.
    """
    with tarfile.open(fileobj=archive, mode="w") as tar:
        if folder:
            top = tarfile.TarInfo(folder)
            top.type, top.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(top)
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


def _failure(what: str, printed: str) -> SandboxError:
    """Return the error for a build that failed, with the last lines that it printed, as a person may see them on a terminal."""
    lines = [line[:500] for line in sanitize(printed).strip().splitlines()[-20:]]
    return SandboxError(f"{what}; the last lines were:\n" + "\n".join(lines))
