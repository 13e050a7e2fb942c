"""A Docker engine of the benchmark's own, which it may restart: beside the machine's engine, with folders and a socket of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START_S = 60.0


class Engine:
    """A dockerd that runs until `stop`. It needs root, and gives containers no network."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.host = folder, f"unix://{folder}/docker.sock"
        self._start()

    def restart(self) -> None:
        """Stop the engine as a service manager does, and start it again."""
        self.stop()
        self._start()

    def stop(self) -> None:
        self._running.terminate()
        try:
            self._running.wait(60)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()

    def _start(self) -> None:
        folders = ["--data-root", self._folder / "data", "--exec-root", self._folder / "exec", "--pidfile", self._folder / "pid"]
        apart = ["--bridge", "none", "--iptables=false", "--ip6tables=false", "--host", self.host]
        alone = ["unshare", "--net"]  # without it, the machine's own bridge would be removed
        with (self._folder / "log").open("ab") as log:
            self._running = subprocess.Popen([*alone, "dockerd", *folders, *apart], stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + _START_S
        while subprocess.run(["docker", "-H", self.host, "version"], capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, (self._folder / "log").read_text()[-2000:]
            time.sleep(0.2)


@contextmanager
def own_engine(folder: Path, image: str) -> Iterator[Engine]:
    """Start an engine that has the machine's image `image`, and let this process and its children use it."""
    folder.mkdir(parents=True)
    saved = folder / "image.tar"
    subprocess.run(["docker", "save", "-o", saved, image], check=True)
    engine = Engine(folder)
    before = os.environ.get("DOCKER_HOST")
    try:
        subprocess.run(["docker", "-H", engine.host, "load", "-q", "-i", saved], check=True, capture_output=True)
        os.environ["DOCKER_HOST"] = engine.host
        yield engine
    finally:
        os.environ.pop("DOCKER_HOST", None)
        if before is not None:
            os.environ["DOCKER_HOST"] = before
        engine.stop()
        shutil.rmtree(folder, ignore_errors=True)
