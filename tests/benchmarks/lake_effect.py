"""Trains a small model from random weights to write and use notes on FrozenLake-Obscure, and prints success by position, beside controls.

    .venv/bin/python tests/benchmarks/lake_effect.py --out DIR [--seeds 0 1 2] [--credits paper own one_sum] [--packs 1000]
    .venv/bin/python tests/benchmarks/lake_effect.py --weights RUN_OR_CHECKPOINT... [--packs 1000]

Each seed is `codagent-train run lessons`, and then `codagent-train run lake` from its last checkpoint for each credit: "paper", "own" and
"one_sum" are returns, "leave_one_out" is a baseline, "without_notes" compares notes with play without them, "ralph" repeats the first task
with discounted returns. A command that was broken off goes on when it is given again: what is in DIR is neither trained nor played twice.
With --weights nothing is trained. Test packs are never trained on. Minutes are processor time of the training command.
"true" is the share of pairs in the notes for the last task that are right. "codes" is how many of the four directions they have right.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import fmean
from typing import Any

from codagent_train.environments.frozenlake.rules import DIRECTIONS, draw_mapping
from codagent_train.environments.frozenlake.words import RESULTS
from codagent_train.environments.make import make_environment_pack
from codagent_train.evaluation.matrix.cells import measure_cell
from codagent_train.evaluation.matrix.playing import MatrixPlayer, PlayedLoop, PlayedPacks, shuffle_packs
from codagent_train.evaluation.matrix.spec import ColumnConfig, Condition
from codagent_train.evaluation.runner import open_target
from codagent_train.evaluation.target import resolve_target
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
EASY = ColumnConfig("frozenlake", "easy", "words", 4)
LONGER = (  # without further training
    ColumnConfig("frozenlake", "easy", "words", 8),
    ColumnConfig("frozenlake", "hard", "words", 8),
    ColumnConfig("frozenlake", "easy", "words", 4, "ralph"),
)
CONDITIONS: tuple[Condition, ...] = ("own", "none", "shuffled", "raw")
OWN: list[tuple[ColumnConfig, Condition]] = [(EASY, "own")]
ALL = [(EASY, condition) for condition in CONDITIONS] + [(column, CONDITIONS[0]) for column in LONGER]
FIGURES = "figures.json"


def train(recipe: str | Path, seed: int, out: Path) -> None:
    """Train to the end, from where an earlier command stopped. Adds the processor time to what earlier commands took."""
    if (out / "done").exists():
        return
    resume = ["--resume"] if (out / "run.json").exists() else ["--seed", str(seed)]
    spent, before = out / "cpu_seconds", _children_seconds()
    try:
        subprocess.run([TRAIN, "run", recipe, "--out", out, *resume], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        (out / "done").touch()
    finally:
        earlier = float(spent.read_text()) if spent.exists() else 0.0
        spent.write_text(f"{earlier + _children_seconds() - before:.1f}\n")


def lake_recipe(credit: str, start: Path, folder: Path) -> Path:
    """Write the recipe of a credit: `lake` from the last checkpoint in `start`."""
    text = resources.files("codagent_train.recipe").joinpath("shipped/lake.toml").read_text()
    weights = resolve(str(start)).location
    text = "\n".join(f'weights = "{weights}"' if line.startswith("weights = ") else line for line in text.splitlines())
    if credit == "ralph":
        text = text.replace('form = "words"\n', 'form = "words"\npacking = "ralph"\n')
    recipe = folder / f"{credit}.toml"
    recipe.write_text(f"{text}\n{CREDITS[credit]}")
    return recipe


def measure(weights: str, packs: int, kept: Path | None = None, wanted: Sequence[tuple[ColumnConfig, Condition]] = ALL) -> None:
    """Play columns under conditions and print what came of it. What the file `kept` has already is not played again."""
    figures: dict[str, Any] = json.loads(kept.read_text()) if kept and kept.exists() else {}
    target = resolve_target(resolve(weights), recipe_name="lake")
    player = MatrixPlayer(open_target(target)[0], target.recipe)
    own: PlayedPacks = {}
    for column, condition in wanted:
        name = f"{column}, {condition}"
        if name not in figures:
            if condition == "shuffled":
                own = own or player.play(column, (packs, 1), "own", {})
            played = player.play(column, (packs, 1), condition, shuffle_packs(column, own) if condition == "shuffled" else {})
            own = played if name == f"{EASY}, own" else own
            cell = measure_cell(weights, str(column), {condition: played}).conditions[condition]
            told = [pairs for number, loops in played.items() for loop in loops for pairs in [true_pairs(column, number, loop)]]
            figures[name] = {
                "success": [[share.mean, share.margin] for share in cell.success],
                "true": fmean([pair for pairs in told for pair in pairs.values()] or [0.0]),
                "codes": fmean(sum(pairs.values()) for pairs in told),
            }
            if kept:
                kept.write_text(json.dumps(figures, indent=1))
        show(weights, name, figures[name])


def true_pairs(column: ColumnConfig, number: int, loop: PlayedLoop) -> dict[str, bool]:
    """Return for each pair in the notes for the last task whether it is right. A pair that is there twice counts once."""
    mapping = draw_mapping(make_environment_pack(column.config, "test", number)[0].seed)
    return {word: DIRECTIONS[mapping[int(word[0]) - 1]] == word[2:] for word in loop.notes[-1].split() if word in RESULTS}


def show(weights: str, name: str, figures: dict[str, Any]) -> None:
    told = "  ".join(f"{mean:.3f} ± {margin:.3f}" for mean, margin in figures["success"])
    print(f"{weights:40} {name:40} {told}   true {figures['true']:.2f}, codes {figures['codes']:.2f}", flush=True)


def _children_seconds() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--credits", nargs="*", choices=CREDITS, default=["paper", "own", "one_sum"])
    parser.add_argument("--weights", nargs="+", default=[])
    parser.add_argument("--packs", type=int, default=1000)
    arguments = parser.parse_args()
    for weights in arguments.weights:
        measure(weights, arguments.packs)
    for seed in arguments.seeds if arguments.out else ():
        folder = arguments.out / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        start = folder / "lessons"
        for name in ("lessons", *arguments.credits):
            train(name if name == "lessons" else lake_recipe(name, start, folder), seed, folder / name)
            print(f"seed {seed}, {name}: {float((folder / name / 'cpu_seconds').read_text()) / 60:.1f} minutes", flush=True)
            measure(str(folder / name), arguments.packs, folder / name / FIGURES, ALL if name == "paper" else OWN)


if __name__ == "__main__":
    main()
