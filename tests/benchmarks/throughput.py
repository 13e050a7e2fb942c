"""Takes the same steps on the same replies with codagent's trainer and with trl's own GRPOTrainer, and prints trained tokens a second and
peak memory of each.

    .venv/bin/python tests/benchmarks/throughput.py WEIGHTS [--loops 4] [--parts 4] [--steps 3] [--rounds 2] [--device cuda]

WEIGHTS is what `codagent-train import` made. The replies are lessons of the recipe `imitate`. trl is given them as it batches its own: a
reply a row, prompts padded to the left and replies to the right, in the order in which they came. The first step of each is not counted.
Each runs in a process of its own, in turns; nothing is generated.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from msgspec.structs import replace

from codagent_train.data.samples import TrainingSample, imitation_samples, split_samples
from codagent_train.recipe.schema import BatchConfig, Recipe, read_recipe

WAYS = ("codagent", "trl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights")
    for name, default in (("loops", 4), ("parts", 4), ("steps", 3), ("rounds", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(measured(given)))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(given.rounds):
        for way in WAYS:
            done = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--way", way], check=True, capture_output=True, text=True)
            found[way].append(json.loads(done.stdout.splitlines()[-1]))
    speed = {way: median(one["speed"] for one in ones) for way, ones in found.items()}
    memory = {way: median(one["memory_mb"] for one in ones) for way, ones in found.items()}
    for way in WAYS:
        print(f"{way:10} {speed[way]:8.2f} trained tokens/s   {memory[way]:8,.0f} MB at most")
    print(f"{'ratio':10} {speed['codagent'] / speed['trl']:8.2f}                    {memory['codagent'] / memory['trl']:8.2f}")


def measured(given: argparse.Namespace) -> dict[str, float]:
    """One way, in this process."""
    from codagent_train.data.supervised.teacher import teacher_loops
    from codagent_train.policy.load import load_policy

    imitate = read_recipe("imitate")
    setting = replace(imitate.policy, weights=given.weights, device=given.device)
    learning = replace(imitate.learning, steps=given.steps, save_every=10**6)
    task = replace(imitate, policy=setting, learning=learning, batch=BatchConfig(1, given.loops, given.parts))
    loaded = load_policy(setting, seed=0, to_train=True)
    rows = imitation_samples(teacher_loops(task, [0], loaded.tokenizer)[0])
    with tempfile.TemporaryDirectory() as folder:
        trainer = (ours if given.way == "codagent" else theirs)(task, loaded, Path(folder), rows)
        seconds = timed(trainer)
    return {"speed": sum(row.trained_tokens for row in rows) / median(seconds[1:]), "memory_mb": peak_mb(given.device)}


def peak_mb(device: str) -> float:
    """The most memory that this process had, on the GPU or in all."""
    import torch

    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(trainer: Any) -> list[float]:
    """Seconds of each step, learning and the optimizer's part of it."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.seconds: list[float] = []

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds.append(time.perf_counter() - self.began)

    clock = Clock()
    trainer.add_callback(clock)
    trainer.train()
    return clock.seconds


def ours(task: Recipe, loaded: Any, out: Path, rows: list[TrainingSample]) -> Any:
    import torch

    from codagent_train.training.microbatch import pad_samples
    from codagent_train.training.trainer import Trainer

    class Given(Trainer):
        def _collected(self, packs: Any) -> Any:
            total = float(sum(row.trained_tokens for row in rows))
            return [
                pad_samples(part, loaded.pad, total, torch.device(task.policy.device))
                for part in split_samples(rows, task.batch.microbatches)
            ]

    return Given(task, loaded, out)


def theirs(task: Recipe, loaded: Any, out: Path, rows: list[TrainingSample]) -> Any:
    from datasets import Dataset
    from trl import GRPOTrainer

    from codagent_train.training.trainer import make_grpo_config

    replies = [(reply, row.advantage) for row in rows for reply in row.replies]
    share = -(-len(replies) // task.batch.microbatches)
    batches = [padded(replies[first : first + share], loaded.pad, task.policy.device) for first in range(0, len(replies), share)]

    class Given(GRPOTrainer):  # type: ignore[misc]
        def _prepare_inputs(self, generation_batch: Any) -> Any:
            return batches[self._step % len(batches)]

    return Given(
        model=loaded.model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=make_grpo_config(task, out),
        train_dataset=Dataset.from_dict({"prompt": [""] * task.learning.steps}),
        processing_class=loaded.processor,
    )


def padded(replies: list[Any], pad: int, device: str) -> dict[str, Any]:
    """A batch in trl's own words."""
    import torch

    width = max(len(reply.prompt_ids) for reply, _ in replies)
    length = max(len(reply.completion_ids) for reply, _ in replies)
    left = [(width - len(reply.prompt_ids), reply.prompt_ids) for reply, _ in replies]
    right = [(length - len(reply.completion_ids), reply.completion_ids) for reply, _ in replies]
    batch = {
        "prompt_ids": torch.tensor([[pad] * room + list(ids) for room, ids in left]),
        "prompt_mask": torch.tensor([[0] * room + [1] * len(ids) for room, ids in left]),
        "completion_ids": torch.tensor([list(ids) + [pad] * room for room, ids in right]),
        "completion_mask": torch.tensor([[1] * len(ids) + [0] * room for room, ids in right]),
        "advantages": torch.tensor([advantage for _, advantage in replies]),
        "num_items_in_batch": torch.tensor(float(sum(len(reply.completion_ids) for reply, _ in replies))),
    }
    return {name: tensor.to(device) for name, tensor in batch.items()}


if __name__ == "__main__":
    main()
