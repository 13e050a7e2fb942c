"""Prints what can be reached in each domain without a model, by position, beside the reference figures.

    .venv/bin/python tests/benchmarks/domains.py [--packs 500] [--only alchemy]

Rewards and shares of success are means over the first packs of the test split, with half of a 95 % interval over packs. The seconds are of
processor time.
"""

from __future__ import annotations

import argparse
import time

from codagent_train.environments.domains.catalogue import DOMAINS
from codagent_train.evaluation.ceilings import measure_players
from codagent_train.recipe.environment_config import EnvironmentConfig

# domain, level, tasks: what the reference gives
CASES = {
    ("control", "easy", 4): "reward: random 0.15, idle 0.34, scratch 0.48, sign known 0.95, gains known 0.99, known 0.993",
    ("control", "hard", 4): "reward: random 0.07, idle 0.12, scratch 0.45, sign known 0.90, gains known 0.96, known 0.976",
    ("alchemy", "easy", 4): "success: random 0.38-0.41, scratch 0.80, carry 0.81 0.97 1.00 1.00; reward: known 0.978",
    ("alchemy", "hard", 8): "success: random 0.24-0.26, scratch 0.35-0.41, carry 0.38 0.60 0.68 0.75 0.77 0.78 0.82 0.82, known 0.969",
    ("alchemy", "fresh", 4): "success: random 0.17, scratch 0.34, carry 0.33 0.65 0.76 0.83; reward: known 0.980",
    ("alchemy", "fresh", 8): "success: random 0.19, scratch 0.33, carry at 0, 1, 3, 7: 0.32 0.61 0.81 0.93; reward: known 0.981",
    ("alchemy", "hard-fair", 8): "no reference",
    (
        "terminal",
        "machine",
        8,
    ): "success: scratch 0.45, carry 0.45 0.80 0.93 0.97 0.99 1.00; reward: carry 0.42 0.76 0.89 0.94, known 0.980",
    ("terminal", "paper", 4): "success: known 1 (nothing is hidden)",
    ("grid", "small", 4): "reward: blind 0.79, scratch 0.80, carry 0.80 0.89 0.87 0.88, known 0.90",
    ("grid", "train", 4): "reward: blind 0.73, scratch 0.80, carry 0.79 0.87 0.89 0.90, known 0.92",
    ("grid", "eval", 8): "reward: blind 0.73, scratch 0.80, carry at 0, 1, 3, 7: 0.81 0.84 0.90 0.91, known 0.92",
    ("pde", "train", 4): "reward: scratch 0.66-0.78, carry 0.66 0.83 0.87 0.87 (within 0.08)",
    ("pde", "eval", 8): "reward: scratch 0.42-0.63, carry 0.50 0.54 0.61 0.69 0.63 0.63 0.62 0.65 (within 0.15)",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packs", type=int, default=500)
    parser.add_argument("--only", help="one domain")
    arguments = parser.parse_args()
    for (name, level, tasks), reference in CASES.items():
        if arguments.only in (None, name):
            began = time.process_time()
            packs = [DOMAINS[name].make_pack(level, "terse", "test", number, tasks) for number in range(arguments.packs)]
            found = measure_players(EnvironmentConfig(name, level, tasks=tasks), packs)
            print(f"{name} {level}, {arguments.packs} packs of {tasks}, {time.process_time() - began:.0f} s\n  reference: {reference}")
            for player, reached in found.items():
                rewards = " ".join(f"{at.reward.mean:.3f}" for at in reached)
                successes = " ".join(f"{at.success.mean:.3f}" for at in reached)
                margin = max(at.reward.margin for at in reached)
                print(f"  {player:12} reward {rewards} ± {margin:.3f}   success {successes}")


if __name__ == "__main__":
    main()
