"""What each of several processes runs: three steps of a small toy, into a folder, with LoRA of a rank (0: all weights)."""

import os
import sys
import time
from pathlib import Path

import torch
import transformers.trainer
from msgspec.structs import replace
from transformers.trainer_utils import sort_checkpoints

from codagent_train.policy.load import load_policy
from codagent_train.recipe.schema import BatchConfig, read_recipe
from codagent_train.training import logprobs
from codagent_train.training.processes import exit_if_one_of_several
from codagent_train.training.trainer import train


def sort_late(output_dir, **options):
    """Look for checkpoints as transformers does at the end of a run, when the other process has long done so."""
    time.sleep(2)
    assert Path(output_dir).is_dir()
    return sort_checkpoints(output_dir=output_dir, **options)


toy = read_recipe("toy")
policy = replace(toy.policy, lora_rank=int(sys.argv[2]))
small = replace(toy, policy=policy, batch=BatchConfig(packs=4, group_size=4, microbatches=2), learning=replace(toy.learning, steps=3))
loaded = load_policy(small.policy, seed=0)
out = Path(sys.argv[1])
if os.environ.get("RANK") == "1":
    transformers.trainer.sort_checkpoints = sort_late
    logprobs.PART_TOKENS = 1  # one process has more rows, or longer ones, than the other
train(small, loaded, out)
torch.save(loaded.model.state_dict(), out / f"{os.environ.get('RANK', 'alone')}.pt")
exit_if_one_of_several()
