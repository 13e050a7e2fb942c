"""The whole circle, at toy size: loops in Docker, their records, an adapter, and the agent with it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.docker
CIRCLE = Path(__file__).parents[1] / "benchmarks" / "circle.py"


@pytest.mark.timeout(1_800)  # it records, trains and plays; a machine at a load of 50 took more than five minutes
def test_what_the_agent_lived_through_becomes_what_the_model_does(tmp_path, python_sandbox):
    done = subprocess.run([sys.executable, CIRCLE, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"passed at the first attempt: (\d) of 8 before, (\d) of 8 after; then `codagent run`: (\d) of 3", done.stdout)
    assert found, done.stdout
    assert int(found[1]) < 4
    assert int(found[2]) >= 6
    assert int(found[3]) == 3
