"""Sandboxes as the settings want them, the next one started ahead of its use."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from codagent.settings.settings import LOCAL, Settings
from codagent.types import Sandbox


class Starter:
    """Starts sandboxes. Its imports happen as it is made, in its maker's thread: a start then only waits, and others can work meanwhile."""

    def __init__(self, root: Path, settings: Settings, say: Callable[[str], None]) -> None:
        self._root, self._setup, self._say = root, bool(settings.sandbox_setup), say
        self._local = settings.sandbox == LOCAL
        if self._local:
            say("the local sandbox does not isolate: commands run on this machine, as you")
            return
        import docker  # noqa: F401

        from codagent.sandbox import docker as _  # noqa: F401
        from codagent.sandbox.definition import load_for_repository

        self._definition = load_for_repository(settings.sandbox, settings.sandbox_setup)

    def __call__(self, loop_id: str) -> Sandbox:
        """A fresh sandbox, labelled with the loop that it is for."""
        if self._local:
            from codagent.sandbox.local import LocalSandbox

            return LocalSandbox()
        from codagent.sandbox.docker import DockerSandbox

        return DockerSandbox.start(self._definition, loop=loop_id, image=self._image() if self._setup else None)

    def image(self) -> str:
        """What names the image by its content: the gates' verdicts hold for it alone."""
        if self._local:
            return LOCAL
        from codagent.sandbox.engine import connect, speaking

        with speaking("looking at the sandbox's image"):
            return str(connect().inspect_image(self._image())["Id"])

    def _image(self) -> str:
        from codagent.sandbox.image import ensure_image

        return ensure_image(self._definition, root=self._root, say=self._say)


class Sandboxes:
    """Opens sandboxes for one loop; the first is being started while all else gets ready, and with `ahead` so is each that follows."""

    def __init__(self, pool: ThreadPoolExecutor, start: Callable[[str], Sandbox], loop_id: str, *, ahead: bool = False) -> None:
        self._pool, self._start, self._loop_id, self._ahead = pool, start, loop_id, ahead
        self._lock = Lock()
        self._opened: list[Sandbox] = []
        self._next: Future[Sandbox] | None = pool.submit(start, loop_id)

    def open(self) -> Sandbox:
        with self._lock:
            coming, self._next = self._next, self._pool.submit(self._start, self._loop_id) if self._ahead else None
        sandbox = coming.result() if coming else self._start(self._loop_id)
        self._opened.append(sandbox)
        return sandbox

    def interrupt(self) -> None:
        """End whatever runs in them, from another thread."""
        for sandbox in self._opened:
            sandbox.close()

    def close(self) -> None:
        """End the one that nobody asked for."""
        with self._lock:
            coming, self._next = self._next, None
        if coming is not None and coming.exception() is None:
            coming.result().close()
