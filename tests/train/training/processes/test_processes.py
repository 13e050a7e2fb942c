"""Several processes take the steps of one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.usefixtures("hushed")

SHARED = Path(__file__).with_name("shared.py")
LAUNCHED = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
# --cpu, or no flag, starts one process, whatever --num_processes says; this starts two, without a GPU, too
ACCELERATED = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--main_process_port", "0")


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


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The weights of one process."""
    out = tmp_path_factory.mktemp("one")
    finished(SHARED, out)
    return torch.load(out / "alone.pt")


@pytest.mark.parametrize("launcher", [LAUNCHED, ACCELERATED], ids=["torchrun", "accelerate"])
def test_two_processes_end_with_the_weights_of_one(alone, launcher, tmp_path):
    finished(*launcher, SHARED, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == ["0.pt", "1.pt"]
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert max((found[name] - alone[name]).abs().max().item() for name in alone) < 1e-5
    assert (tmp_path / "checkpoint-3" / "trainer_state.json").exists()
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3
