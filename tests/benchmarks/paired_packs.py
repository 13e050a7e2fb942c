"""Plays the same test packs with two checkpoints and prints success by position, and the difference pack by pack.

    .venv/bin/python tests/benchmarks/paired_packs.py imitated/checkpoint-80 learned/checkpoint-17 [--first 128] [--last 352]

With `--against none` the first plays without notes; the two may then be the same weights. Each margin is half of a 95 % interval over
packs. Both have the same seeds, so a difference of pairs is surer than that of means.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import fmean

from codagent_train.cli.say import say
from codagent_train.evaluation.notes_conditions import no_notes, own_notes
from codagent_train.evaluation.report import Notes
from codagent_train.evaluation.runner import EvalSession, choose_settings, open_target
from codagent_train.evaluation.target import find_target
from codagent_train.intervals import mean_interval
from codagent_train.run_dir.weights_ref import resolve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--first", type=int, default=128)
    parser.add_argument("--last", type=int, default=352)
    parser.add_argument("--against", choices=["own", "none"], default="own", help="the notes of the first")
    given = parser.parse_args()
    players: list[tuple[str, Notes]] = [(given.before, given.against), (given.after, "own")]
    before, after = (play(where, notes, given.first, given.last) for where, notes in players)
    differences = [[new - old for old, new in zip(*pair, strict=True)] for pair in zip(before, after, strict=True)]
    for name, packs in (("before", before), ("after", after), ("difference", differences)):
        print(f"{name:10}", *(describe(position) for position in zip(*packs, strict=True)))
    print("difference over all positions with notes", describe([fmean(pack[1:]) for pack in differences]))


def play(where: str, notes: Notes, first: int, last: int) -> list[list[float]]:
    """Return whether each attempt passed, by pack and position."""
    target = find_target(resolve(where))
    (setting,) = choose_settings(target.recipe.environment, {}, notes=notes)
    every = own_notes(last, 1) if notes == "own" else no_notes(last, 1)
    results = EvalSession(target, open_target, say).play(setting, {number: carries for number, carries in every.items() if number >= first})
    loops = [result.loops[0] for result in results]
    return [[float(each.outcome.passed) for each in loop.episodes if each.kind == "solve" and each.outcome] for loop in loops]


def describe(values: Sequence[float]) -> str:
    found = mean_interval(values)
    return f"{found.mean:+.3f} ± {found.margin:.3f}"


if __name__ == "__main__":
    main()
