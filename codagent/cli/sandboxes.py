"""Sandboxes as the settings want them, the first one started ahead of its use."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from codagent.config import Settings
from codagent.types import Sandbox

LOCAL = "local"
Start = Callable[[str], Sandbox]  # from a loop's id


def starter(root: Path, settings: Settings, say: Callable[[str], None]) -> Start:
    """What starts a sandbox. Its imports happen here, in the caller's thread: a start then only waits, and others can work meanwhile."""
    if settings.sandbox == LOCAL:
        from codagent.sandbox.local import LocalSandbox

        say("the local sandbox does not isolate: commands run on this machine, as you")
        return lambda _: LocalSandbox()
    import docker  # noqa: F401

    from codagent.sandbox.definition import for_repository
    from codagent.sandbox.docker import DockerSandbox
    from codagent.sandbox.image import ensure_image

    definition = for_repository(settings.sandbox, settings.sandbox_setup)

    def start(loop_id: str) -> Sandbox:
        image = ensure_image(definition, root=root, say=say) if settings.sandbox_setup else None
        return DockerSandbox.start(definition, loop=loop_id, image=image)

    return start


class Sandboxes:
    """Opens sandboxes for one loop; the first is being started while everything else gets ready."""

    def __init__(self, pool: ThreadPoolExecutor, start: Start, loop_id: str) -> None:
        self._start, self._loop_id = start, loop_id
        self._first: Future[Sandbox] | None = pool.submit(start, loop_id)

    def open(self) -> Sandbox:
        first, self._first = self._first, None
        return first.result() if first else self._start(self._loop_id)

    def close(self) -> None:
        """End the first one if nobody asked for it."""
        if self._first is not None and self._first.exception() is None:
            self._first.result().close()
