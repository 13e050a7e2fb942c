"""Trains a small model from random weights to write and use notes, and prints reward and success by position, beside controls.

    .venv/bin/python tests/benchmarks/notes_effect.py --out DIR [--domain NAME] [--seeds 0 1 2] [--credits paper own one_sum]
    .venv/bin/python tests/benchmarks/notes_effect.py --weights RUN_OR_CHECKPOINT... [--domain NAME] [--packs 1000]

Each seed is `codagent-train run` of the recipe of lessons, and then of own play from its last checkpoint for each credit: "paper", "own"
and "one_sum" are returns, "leave_one_out" is a baseline, "without_notes" compares notes with play without them, "ralph" repeats the first
task with discounted returns. A command that was broken off goes on when it is given again: what is in DIR is neither trained nor played
twice. With --weights nothing is trained. Test packs are never trained on. Minutes are processor time of the training command.
"true" is the share of facts in the notes for the last task that are right, and "told" is how many facts they have right: of the lake, of
the four directions.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import fmean
from typing import Any

from codagent_train.environments.make import make_environment_pack, make_teacher
from codagent_train.evaluation.matrix.cells import measure_cell
from codagent_train.evaluation.matrix.playing import GivenNotes, MatrixPlayer, PlayedLoop, PlayedPacks, shuffle_packs, written_notes
from codagent_train.evaluation.matrix.spec import ColumnConfig, Condition
from codagent_train.evaluation.runner import open_target
from codagent_train.evaluation.target import find_target
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
CONDITIONS: tuple[Condition, ...] = ("own", "none", "shuffled", "raw")
EASY = ColumnConfig("frozenlake", "easy", "words", 4)
LONGER = (  # without further training
    ColumnConfig("frozenlake", "easy", "words", 8),
    ColumnConfig("frozenlake", "hard", "words", 8),
    ColumnConfig("frozenlake", "easy", "words", 4, "ralph"),
)
Wanted = Sequence[tuple[ColumnConfig, Condition]]


@dataclass(frozen=True)
class Effect:
    """How the effect is shown in a domain: the recipes of lessons and of own play, the column that was trained, and further ones."""

    lessons: str
    play: str
    column: ColumnConfig
    further: tuple[ColumnConfig, ...] = ()

    @property
    def wanted(self) -> Wanted:
        return [(self.column, condition) for condition in CONDITIONS] + [(column, "own") for column in self.further]


EFFECTS = {
    "frozenlake": Effect("lessons", "lake", EASY, LONGER),
    "control": Effect("control-lessons", "control", ColumnConfig("control", "hard", "words", 4)),
    "alchemy": Effect("alchemy-lessons", "alchemy", ColumnConfig("alchemy", "fresh", "words", 4)),
}
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


def play_recipe(name: str, credit: str, start: Path, folder: Path) -> Path:
    """Write the recipe of a credit: the shipped recipe `name` from the last checkpoint in `start`."""
    text = resources.files("codagent_train.recipe").joinpath(f"shipped/{name}.toml").read_text()
    weights = resolve(str(start)).location
    text = "\n".join(f'weights = "{weights}"' if line.startswith("weights = ") else line for line in text.splitlines())
    if credit == "ralph":
        text = text.replace('form = "words"\n', 'form = "words"\npacking = "ralph"\n')
    recipe = folder / f"{credit}.toml"
    recipe.write_text(f"{text}\n{CREDITS[credit]}")
    return recipe


def measure(weights: str, packs: int, effect: Effect, wanted: Wanted, kept: Path | None = None) -> None:
    """Play columns under conditions and print what came of it. What the file `kept` has already is not played again."""
    figures: dict[str, Any] = json.loads(kept.read_text()) if kept and kept.exists() else {}
    target = find_target(resolve(weights), recipe_name=effect.play)
    player = MatrixPlayer(open_target(target)[0], target.recipe)
    own: PlayedPacks = {}
    for column, condition in wanted:
        name = f"{column}, {condition}"
        if name not in figures:
            given: GivenNotes = {}
            if condition == "shuffled":
                own = own or player.play(column, (packs, 1), "own", {})
                given = written_notes(shuffle_packs(column, own))
            played = player.play(column, (packs, 1), condition, given)
            own = played if (column, condition) == (effect.column, "own") else own
            cell = measure_cell(weights, str(column), {condition: played}).conditions[condition]
            told = [last_facts(column, number, loop) for number, loops in played.items() for loop in loops]
            figures[name] = {
                "success": [[share.mean, share.margin] for share in cell.success],
                "reward": [[reward.mean, reward.margin] for reward in cell.reward],
                "true": fmean([true for facts in told for true in facts.values()] or [0.0]),
                "told": fmean(sum(facts.values()) for facts in told),
            }
            if kept:
                kept.write_text(json.dumps(figures, indent=1))
        show(weights, name, figures[name])


def last_facts(column: ColumnConfig, number: int, loop: PlayedLoop) -> dict[str, bool]:
    """Return for each fact in the notes for the last task whether it is right. A fact that is there twice counts once."""
    pack, open_environment = make_environment_pack(column.config, "test", number)
    teacher = make_teacher(column.config, pack, open_environment())
    return {word: word in teacher.truths for word in loop.notes[-1].split() if word in teacher.facts}


def show(weights: str, name: str, figures: dict[str, Any]) -> None:
    for measured in ("reward", "success"):
        told = "  ".join(f"{mean:.3f} ± {margin:.3f}" for mean, margin in figures[measured])
        print(f"{weights:40} {name:40} {measured:7} {told}   true {figures['true']:.2f}, told {figures['told']:.2f}", flush=True)


def _children_seconds() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--domain", choices=EFFECTS, default="frozenlake")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--credits", nargs="*", choices=CREDITS, default=["paper", "own", "one_sum"])
    parser.add_argument("--weights", nargs="+", default=[])
    parser.add_argument("--packs", type=int, default=1000)
    arguments = parser.parse_args()
    effect = EFFECTS[arguments.domain]
    for weights in arguments.weights:
        measure(weights, arguments.packs, effect, effect.wanted)
    for seed in arguments.seeds if arguments.out else ():
        folder = arguments.out / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        start = folder / "lessons"
        for name in ("lessons", *arguments.credits):
            train(effect.lessons if name == "lessons" else play_recipe(effect.play, name, start, folder), seed, folder / name)
            print(f"seed {seed}, {name}: {float((folder / name / 'cpu_seconds').read_text()) / 60:.1f} minutes", flush=True)
            wanted = effect.wanted if name == "paper" else [(effect.column, CONDITIONS[0])]
            measure(str(folder / name), arguments.packs, effect, wanted, folder / name / FIGURES)


if __name__ == "__main__":
    main()
