"""What needs an engine gets one: it is started and the image is built, or the test fails; it is never skipped."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from codagent.sandbox.definition import Definition, load_definition
from codagent.sandbox.images.image import build
from tests.fork_server import ForkServer

ROOT = Path(__file__).resolve().parents[1]

_LONG = ("tests/train", "tests/docker/test_circle.py")  # minutes

# A background job of a shell ignores SIGINT, and so would every command that a test starts and interrupts. `nohup` does it with SIGHUP. The
# suite goes on to ignore that, but a command that it starts does not ignore what is handled here.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The tests of a file go to one worker, and share what is made once for a file. So do all of the trainer: it is slow to import."""
    from xdist.scheduler import LoadScopeScheduling

    class FileScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _place(nodeid)

    config.option.loadscopereorder = False  # the order is that of `pytest_collection_modifyitems`
    return FileScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, so that all workers end at about the same time: a few long tests, then the files with many."""
    sizes = Counter(_place(item.nodeid) for item in items)
    items.sort(key=lambda item: ((place := _place(item.nodeid)) not in _LONG, -sizes[place]))


def _place(nodeid: str) -> str:
    return "tests/train" if nodeid.startswith("tests/train/") else nodeid.split("::", 1)[0]


@pytest.fixture(scope="session")
def codagent_server() -> ForkServer:
    """Runs the `codagent` command."""
    modules = ["codagent.cli.app", "codagent.repository.gate.gates", "codagent.runner.launch", "docker", "git", "httpx2", "jinja2"]
    return ForkServer(Path(sys.executable).parent / "codagent", modules)


@pytest.fixture(scope="session")
def engine() -> None:
    """An engine that answers."""
    done = subprocess.run([ROOT / ".ci" / "engine"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def python_sandbox(engine: None) -> Definition:
    """The definition of the python sandbox, whose image is there."""
    lines: list[str] = []
    build("python", lines.append)
    return load_definition("python")
