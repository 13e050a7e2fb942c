"""Several processes take the steps of one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import torch

SHARED = Path(__file__).with_name("shared.py")
LAUNCHED = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def finished(*command):
    """Run Python so, to an end that is good."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *command]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True) as process:
        try:
            _, said = process.communicate(timeout=240)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # the launcher and those that it launched
    assert process.returncode == 0, said


def test_two_processes_end_with_the_weights_of_one(tmp_path):
    for name, launcher in (("one", ()), ("two", LAUNCHED)):
        (tmp_path / name).mkdir()
        finished(*launcher, SHARED, tmp_path / name)
    one = torch.load(tmp_path / "one" / "alone.pt")
    for rank in (0, 1):
        found = torch.load(tmp_path / "two" / f"{rank}.pt")
        assert max((found[name] - one[name]).abs().max().item() for name in one) < 1e-4
    assert (tmp_path / "two" / "checkpoint-3" / "trainer_state.json").exists()
    assert len((tmp_path / "two" / "metrics.jsonl").read_text().splitlines()) == 3
