from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from codagent.errors import SandboxError
from codagent.sandbox.docker.engine import connect

ROOT = Path(__file__).resolve().parents[3]


def test_a_missing_engine_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(SandboxError, match=r"no docker engine answers .*start it") as raised:
        connect()
    assert raised.value.exit_code == 5
    assert "\n" not in str(raised.value)


def test_bringing_up_an_engine_elsewhere_is_refused(tmp_path: Path) -> None:
    environment = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    done = subprocess.run([ROOT / ".ci" / "engine"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "DOCKER_HOST" in done.stderr
