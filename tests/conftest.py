"""What needs an engine gets one: it is started and the image is built, or the test fails; it is never skipped."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from codagent.sandbox.definition import Definition, load_definition
from codagent.sandbox.images.image import build

ROOT = Path(__file__).resolve().parents[1]

# A background job of a shell ignores SIGINT, and so would every command that a test starts and interrupts. `nohup` does it with SIGHUP. The
# suite goes on to ignore that, but a command that it starts does not ignore what is handled here.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


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
