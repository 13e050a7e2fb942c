"""Trains a small model from random weights to write and use notes on FrozenLake-Obscure, and prints success by position, beside controls.

    .venv/bin/python tests/benchmarks/lake_effect.py --out DIR [--seeds 0 1 2] [--credits paper own one_sum] [--packs 1000]
    .venv/bin/python tests/benchmarks/lake_effect.py --weights RUN_OR_CHECKPOINT... [--packs 1000]

Each seed is `codagent-train run lessons`, and then `codagent-train run lake` from its last checkpoint for each credit: "paper", "own" and
"one_sum" are returns, "leave_one_out" is a baseline, "without_notes" compares notes with play without them, "ralph" repeats the first task
with discounted returns. What is in DIR already is not trained again. With --weights nothing is trained. Test packs are never trained on.
"true" is the share of pairs in the notes for the last task that are right.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from statistics import fmean

from codagent_train.environments.frozenlake.rules import DIRECTIONS, draw_mapping
from codagent_train.environments.frozenlake.words import RESULTS
from codagent_train.evaluation.notes_conditions import no_notes, own_notes, shuffle_notes
from codagent_train.evaluation.report import PackResult, Setting
from codagent_train.evaluation.runner import EvalSession, open_target
from codagent_train.evaluation.target import resolve_target
from codagent_train.intervals import share_interval
from codagent_train.run_dir import metrics
from codagent_train.run_dir.weights_ref import resolve

TRAIN = Path(sys.executable).parent / "codagent-train"
CREDITS = {
    "paper": "",
    "own": '[credit]\nreturns = "own"\n',
    "one_sum": '[credit]\nreturns = "one_sum"\n',
    "leave_one_out": '[credit]\nbaseline = "leave_one_out"\n',
    "without_notes": '[credit]\nnotes_baseline = "without_notes"\n',
    "ralph": '[credit]\nreturns = "discounted"\n',
}
LONGER = (Setting("easy", 8), Setting("hard", 8), Setting("easy", 4, "ralph"))  # without further training


def train(recipe: str | Path, seed: int, out: Path) -> None:
    if not (out / "done").exists():
        resume = ["--resume"] if (out / "run.json").exists() else ["--seed", str(seed)]
        subprocess.run([TRAIN, "run", recipe, "--out", out, *resume], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        (out / "done").touch()


def lake_recipe(credit: str, start: Path, folder: Path) -> Path:
    text = resources.files("codagent_train.recipe").joinpath("shipped/lake.toml").read_text()
    text = text.replace("lessons/checkpoint", f"{start}/checkpoint")
    if credit == "ralph":
        text = text.replace('form = "words"\n', 'form = "words"\npacking = "ralph"\n')
    recipe = folder / f"{credit}.toml"
    recipe.write_text(f"{text}\n{CREDITS[credit]}")
    return recipe


def evaluate(weights: str, packs: int) -> None:
    """Print a line for each condition."""
    session = EvalSession(resolve_target(resolve(weights), recipe_name="lake"), open_target, lambda _: None)
    setting = Setting("easy", 4)
    own = session.play(setting, own_notes(packs, 1))
    show(weights, "", own)
    show(weights, "no notes", session.play(Setting("easy", 4, notes="none"), no_notes(packs, 1)))
    show(weights, "other pack's", session.play(Setting("easy", 4, notes="shuffled"), shuffle_notes(own)))
    for longer in LONGER:
        show(weights, str(longer), session.play(longer, own_notes(packs, 1)))


def show(weights: str, condition: str, results: list[PackResult]) -> None:
    attempts = [result.loops[0].attempts for result in results]
    shares = [share_interval([float(loop[position].outcome.passed) for loop in attempts]) for position in range(len(attempts[0]))]
    true = list(true_pairs(results))
    told = "  ".join(f"{share.mean:.3f} ± {share.margin:.3f}" for share in shares)
    print(f"{weights:30} {condition:24} {told}   true {fmean(true) if true else float('nan'):.2f} of {len(true)}", flush=True)


def true_pairs(results: list[PackResult]) -> Iterator[bool]:
    """Yield for each pair in the notes for the last task whether it is right."""
    for result in results:
        mapping = draw_mapping(result.pack.seed)
        for word in result.loops[0].attempts[-1].notes_before.split():
            if word in RESULTS:
                yield DIRECTIONS[mapping[int(word[0]) - 1]] == word[2:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--credits", nargs="+", choices=CREDITS, default=["paper", "own", "one_sum"])
    parser.add_argument("--weights", nargs="+", default=[])
    parser.add_argument("--packs", type=int, default=1000)
    arguments = parser.parse_args()
    for weights in arguments.weights:
        evaluate(weights, arguments.packs)
    for seed in arguments.seeds if arguments.out else ():
        folder = arguments.out / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        train("lessons", seed, folder / "lessons")
        evaluate(str(folder / "lessons"), arguments.packs)
        for credit in arguments.credits:
            train(lake_recipe(credit, folder / "lessons", folder), seed, folder / credit)
            seconds = sum(line["seconds/step"] for line in metrics.read(folder / credit / metrics.FILE))
            print(f"seed {seed}, {credit}: {seconds / 60:.1f} minutes of steps", flush=True)
            evaluate(str(folder / credit), arguments.packs)


if __name__ == "__main__":
    main()
