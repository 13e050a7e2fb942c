"""Several processes take the steps of one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from codagent_train.recipe.schema import find_recipe
from tests.train.command import TRAIN

pytestmark = pytest.mark.usefixtures("hushed")

SHARED = Path(__file__).with_name("shared.py")
SHARDED = Path(__file__).with_name("sharded.py")
LAUNCHED = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
# --cpu, or no flag, starts one process, whatever --num_processes says; this starts two, without a GPU, too
ACCELERATED = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--main_process_port", "0")


def finished(*command):
    """Run Python so, to an end that is good. Returns what it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *command]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        try:
            printed, said = process.communicate(timeout=240)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # the launcher and those that it launched
    assert process.returncode == 0, said
    return printed, said


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The weights of one process."""
    out = tmp_path_factory.mktemp("one")
    finished(SHARED, out, "0")
    return torch.load(out / "alone.pt")


def largest_difference(folder, rank, alone):
    found = torch.load(folder / f"{rank}.pt")
    return max((found[name] - alone[name]).abs().max().item() for name in alone)


@pytest.mark.parametrize("launcher", [LAUNCHED, ACCELERATED], ids=["torchrun", "accelerate"])
def test_two_processes_end_with_the_weights_of_one(alone, launcher, tmp_path):
    finished(*launcher, SHARED, tmp_path, "0")
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == ["0.pt", "1.pt"]
    for rank in (0, 1):
        assert largest_difference(tmp_path, rank, alone) < 1e-5
    assert (tmp_path / "checkpoint-3" / "trainer_state.json").exists()
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3


def test_two_processes_end_with_the_adapter_of_one(tmp_path):
    finished(SHARED, tmp_path / "one", "4")
    alone = torch.load(tmp_path / "one" / "alone.pt")
    assert max(alone[name].abs().max().item() for name in alone if "lora_B" in name) > 0  # it has learned
    finished(*LAUNCHED, SHARED, tmp_path / "two", "4")
    assert max(largest_difference(tmp_path / "two", rank, alone) for rank in (0, 1)) < 1e-5


def test_two_processes_say_what_one_says_also_when_they_go_on(tmp_path):
    text = find_recipe("toy").read_text().replace("packs = 16", "packs = 2").replace("save_every = 50", "save_every = 1")
    recipe, command = tmp_path / "short.toml", (*LAUNCHED, "--no-python", TRAIN, "run", tmp_path / "short.toml", "--out", tmp_path / "out")
    for steps, more in ((1, ()), (2, ("--resume",))):
        recipe.write_text(text.replace("steps = 150", f"steps = {steps}"))
        printed, said = finished(*command, *more)
        assert printed == f"{tmp_path}/out/checkpoint-{steps}\n"
        first, last, following = (line for line in said.splitlines() if "torch" not in line)
        assert first == f"codagent-train: {recipe}, seed 0, {steps} steps, into {tmp_path}/out"
        assert last.startswith(f"step {steps} of {steps} · ")
        assert following.startswith("codagent-train: next: ")


def test_torch_shards_all_weights_among_two_processes_and_takes_the_step_of_one():
    """FSDP2 on a CPU, without the trainer: accelerate turns FSDP on for accelerators only."""
    finished(*LAUNCHED, SHARDED)


@pytest.mark.parametrize(("group", "told"), [(True, ""), (False, "the end of Python")])
def test_a_process_of_a_group_ends_without_the_end_of_python(group, told, tmp_path):
    """There a thread of gloo can end it with SIGABRT."""
    lines = [
        "import atexit, torch.distributed as dist",
        "from codagent_train.training.processes import exit_if_one_of_several",
        "atexit.register(print, 'the end of Python')",
        f"dist.init_process_group('gloo', init_method='file://{tmp_path}/store', rank=0, world_size=1)" if group else "",
        "print('done')",
        "exit_if_one_of_several()",
    ]
    ended = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=100, check=False)
    assert (ended.returncode, ended.stdout.split("\n", 1)) == (0, ["done", told and told + "\n"]), ended.stderr
