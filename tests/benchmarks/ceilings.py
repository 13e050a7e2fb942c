"""Prints how well FrozenLake-Obscure can be played, with 95 % margins, beside the reference figures.

    .venv/bin/python tests/benchmarks/ceilings.py [--easy 1000] [--hard 300]

`carried` plays each task as surely as possible and takes all that it has seen to the next one. The margins are of the sample of packs.
"""

from __future__ import annotations

import argparse

from codagent_train.environments.frozenlake.environment import make_lake_pack
from codagent_train.environments.frozenlake.rules import EASY, HARD
from codagent_train.evaluation.ceilings import compute_ceilings
from codagent_train.intervals import Estimate

REFERENCE = {"easy": "0.16 0.606 | 0.60 0.93 0.99 1.00 | 0.964", "hard": "0.10 0.567 | 0.56 0.93 0.99 1.00 | 0.960"}


def shown(*estimates: Estimate) -> str:
    return "  ".join(f"{estimate.mean:.3f} ± {estimate.margin:.3f}" for estimate in estimates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--easy", type=int, default=1000, help="packs of four")
    parser.add_argument("--hard", type=int, default=300, help="packs of four")
    arguments = parser.parse_args()
    for level, packs in ((EASY, arguments.easy), (HARD, arguments.hard)):
        found = compute_ceilings(level, [make_lake_pack(level, "train", number) for number in range(packs)])
        print(f"{level.name}, {packs} packs of four   reference (chance, alone | carried | known): {REFERENCE[level.name]}")
        print(f"  success by chance          {shown(found.chance)}")
        print(f"  success without notes      {shown(found.no_notes)}")
        print(f"  success, all carried       {shown(*found.success)}")
        print(f"  reward, all carried        {shown(*found.reward)}")
        print(f"  reward, mapping known      {shown(found.known_mapping)}")


if __name__ == "__main__":
    main()
