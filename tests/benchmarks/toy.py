"""Trains the toy under the paper's credit and the two controls, seed by seed, and prints what each position came to.

    .venv/bin/python tests/benchmarks/toy.py [--seeds 5] [--credits paper own one_sum] [--out DIR]

Each run is `codagent-train run toy` with nothing changed but the seed and the credit. The rewards are means over the last 50 steps;
`learned` is the first step at which the mean of 25 steps is 0.95 or more at each of positions 1 to 3, and the seconds are those of its run
up to there, and whole, with the start of Python.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from importlib import resources
from pathlib import Path
from statistics import fmean

from codagent_train.run_dir import metrics

TRAIN = Path(sys.executable).parent / "codagent-train"
POSITIONS, WINDOW, LAST, GOAL = range(4), 25, 50, 0.95


def rewards(lines: list[dict[str, float]]) -> list[float]:
    return [fmean(line[f"reward/position_{position}"] for line in lines) for position in POSITIONS]


def learned(lines: list[dict[str, float]]) -> int | None:
    for step in range(WINDOW, len(lines) + 1):
        if min(rewards(lines[step - WINDOW : step])[1:]) >= GOAL:
            return step
    return None


def run(credit: str, seed: int, out: Path) -> None:
    recipe = out.with_suffix(".toml")
    recipe.write_text(
        f'{resources.files("codagent_train.recipe").joinpath("shipped/toy.toml").read_text()}\n[credit]\nreturns = "{credit}"\n'
    )
    began = time.monotonic()
    subprocess.run([TRAIN, "run", recipe, "--out", out, "--seed", str(seed)], check=True, capture_output=True)
    seconds = time.monotonic() - began
    lines = metrics.read(out / metrics.FILE)
    at = learned(lines)
    start = seconds - sum(line["seconds/step"] for line in lines)
    until = f"{start + sum(line['seconds/step'] for line in lines[:at]):4.0f} s" if at else "     -"
    told = "  ".join(f"{reward:.3f}" for reward in rewards(lines[-LAST:]))
    print(f"{credit:8} {seed:4}   {told}   {at or '-':>7} {until:>6} {seconds:4.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--credits", nargs="+", default=["paper", "own", "one_sum"])
    parser.add_argument("--out", type=Path, help="where the runs are kept; they are thrown away without it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = arguments.out or Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        print("credit   seed   reward by position            learned  until whole")
        for credit in arguments.credits:
            for seed in range(arguments.seeds):
                run(credit, seed, out / f"{credit}-{seed}")


if __name__ == "__main__":
    main()
