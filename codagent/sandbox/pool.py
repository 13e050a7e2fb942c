"""Opens sandboxes as the settings ask for them, and starts the next one before it is needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from codagent.protocols import GateSandbox, OnText, Sandbox, ignore_text
from codagent.settings.settings import LOCAL, Settings

if TYPE_CHECKING:
    from codagent.sandbox.definition import Definition
    from codagent.sandbox.images.setup import Setup


Allow = Callable[[Path, "Definition"], "Setup | None"]


class SandboxFactory:
    """Starts the sandboxes that the settings ask for."""

    def __init__(self, root: Path, settings: Settings, say: Callable[[str], None], allow: Allow) -> None:
        """Import what starting a sandbox needs, in the calling thread. A start then only waits, and other threads can work meanwhile.

        `allow` reads what the repository sets up for its sandbox (None: nothing). Raises UsageError when the user does not allow it.
        """
        self._root, self._own_image, self._say, self._allow = root, bool(settings.sandbox_setup), say, allow
        self._setup: Setup | None = None
        self._image_lock = Lock()  # an image is built by the first thread that needs it; the others wait
        self._local = settings.sandbox == LOCAL
        if self._local:
            say("the local sandbox does not isolate: commands run on this machine, as you")
            return
        import docker  # noqa: F401

        import codagent.sandbox.docker.sandbox  # noqa: F401
        from codagent.sandbox.definition import load_for_repository

        self._definition = load_for_repository(settings.sandbox, settings.sandbox_setup)
        self.read_setup()

    def read_setup(self) -> None:
        """Read again what the repository sets up; a person may be asked. Raises UsageError when it is not allowed."""
        if not self._local:
            self._setup = self._allow(self._root, self._definition)

    def __call__(self, loop_id: str, on_output: OnText = ignore_text) -> GateSandbox:
        """Start a fresh sandbox, labelled with the loop that it belongs to. `on_output` hears the end of what a command prints."""
        if self._local:
            from codagent.sandbox.local import LocalSandbox

            return LocalSandbox(on_output=on_output)
        from codagent.sandbox.docker.sandbox import DockerSandbox

        image = self._image() if self._own_image else None
        return DockerSandbox.start(self._definition, loop=loop_id, image=image, on_output=on_output)

    def image(self) -> str:
        """Return the id of the image. It identifies the image's content, and a gate's verdict is valid for this image only."""
        if self._local:
            return LOCAL
        from codagent.sandbox.docker.engine import connect, translate_errors

        with translate_errors("looking at the sandbox's image"):
            return str(connect().inspect_image(self._image())["Id"])

    def _image(self) -> str:
        from codagent.sandbox.images.image import ensure_image

        with self._image_lock:
            return ensure_image(self._definition, self._setup, say=self._say)


class SandboxPool:
    """The sandboxes of one loop. The first one is started immediately."""

    def __init__(self, executor: ThreadPoolExecutor, start: Callable[[str], GateSandbox], loop_id: str, *, ahead: int = 0) -> None:
        """Start the first sandbox in a thread of `executor`. Each `open` starts what lacks of `ahead` more."""
        self._executor, self._start, self._loop_id, self._ahead = executor, start, loop_id, ahead
        self._lock = Lock()
        self._opened: list[GateSandbox] = []
        self._ready = deque([executor.submit(start, loop_id)])

    def open(self) -> GateSandbox:
        """Return a fresh sandbox, waiting for it if it is still being started. Those that are needed later are started meanwhile.

        Raises SandboxError when it does not start.
        """
        return self._open(self._ahead)

    def open_for_verdict(self) -> GateSandbox:
        """Return a fresh sandbox as `open` does, and start no other one meanwhile, which would slow down the tests in it."""
        return self._open(0)

    def _open(self, ahead: int) -> GateSandbox:
        with self._lock:
            upcoming = self._ready.popleft() if self._ready else None
            self._ready.extend(self._executor.submit(self._start, self._loop_id) for _ in range(ahead - len(self._ready)))
        sandbox = upcoming.result() if upcoming else self._start(self._loop_id)
        self._opened.append(sandbox)
        return sandbox

    def interrupt(self, *, spare: Sandbox | None = None) -> None:
        """Close all sandboxes that were opened but `spare`, from another thread, which ends whatever runs in them."""
        for sandbox in self._opened:
            if sandbox is not spare:
                sandbox.close()

    def close(self) -> None:
        """Close the sandboxes that were started ahead and never opened."""
        with self._lock:
            unopened, self._ready = self._ready, deque()
        for upcoming in unopened:
            if upcoming.exception() is None:
                upcoming.result().close()
