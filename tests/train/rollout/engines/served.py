"""What each of several processes runs: two steps of a small toy by LoRA, its replies from the server at the URL that it is given."""

import sys
from pathlib import Path

from msgspec.structs import replace

from codagent_train.policy.load import load_policy
from codagent_train.recipe.schema import BatchConfig, EngineConfig, read_recipe
from codagent_train.training.trainer import train

out, url = Path(sys.argv[1]), sys.argv[2]
toy = read_recipe("toy")
small = replace(
    toy,
    policy=replace(toy.policy, lora_rank=4),
    batch=BatchConfig(packs=2, group_size=4),
    learning=replace(toy.learning, steps=2, learning_rate=0.02),
    engine=EngineConfig("vllm", url),
)
train(small, load_policy(small.policy, seed=small.seed), out)
