"""Rolls out the toy with all loops side by side and with one after the other, and prints how many replies a second that is.

    .venv/bin/python tests/benchmarks/rollouts.py [--packs 8] [--loops 8] [--rounds 5]

Both play the very same loops, in turns, on one core; what they say is compared.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from statistics import median

from msgspec.structs import replace

from codagent.types import Loop
from codagent_train.policy.load import load_policy
from codagent_train.recipe.schema import BatchConfig, read_recipe
from codagent_train.rollout.engines.transformers_loop import LocalEngine
from codagent_train.rollout.rollout import rollout
from codagent_train.rollout.sampler import Sampler
from codagent_train.rollout.specs import group_specs


def said(loops: Sequence[Loop]) -> list[str]:
    return [step.reply.raw for loop in loops for episode in loop.episodes for step in episode.steps]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packs", type=int, default=8)
    parser.add_argument("--loops", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    toy = replace(read_recipe("toy"), batch=BatchConfig(arguments.packs, arguments.loops))
    loaded = load_policy(toy.policy, seed=0)
    sampler = Sampler(LocalEngine(loaded.model, pad=loaded.pad, ends=loaded.ends), loaded.tokenizer, "toy")
    speeds: dict[str, list[float]] = {"side by side": [], "one at a time": []}
    for _ in range(arguments.rounds):
        texts = []
        for way, found in speeds.items():
            all_starts = [start for group in group_specs(toy, range(arguments.packs), step=0, policy="toy").values() for start in group]
            began = time.perf_counter()
            if way == "side by side":
                loops = rollout(sampler, all_starts)
            else:
                loops = [loop for start in all_starts for loop in rollout(sampler, [start])]
            texts.append(said(loops))
            found.append(len(texts[-1]) / (time.perf_counter() - began))
        assert texts[0] == texts[1]
    for way, found in speeds.items():
        print(f"{way:14} {median(found):8,.0f} replies/s")
    print(f"{'ratio':14} {median(speeds['side by side']) / median(speeds['one at a time']):8.1f}")


if __name__ == "__main__":
    main()
