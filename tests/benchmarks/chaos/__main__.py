"""Kills commands at random moments until they have ended, and prints a table of what came of it.

    .venv/bin/python -m tests.benchmarks.chaos [--kills 100] [--seed 0] [--kinds run loop group session training] [--restarts]

`--restarts` runs an engine of its own and restarts it under the commands; it needs root.
"""

from __future__ import annotations

import argparse
import random
import signal
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from codagent.sandbox.definition import load_definition
from tests.benchmarks.chaos.engine import Engine, own_engine
from tests.benchmarks.chaos.kinds import KINDS
from tests.benchmarks.chaos.run import disturb, undisturbed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100, help="for each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--restarts", action="store_true")
    given = parser.parse_args()
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup does this, and each command would ignore SIGHUP, too
        signal.signal(signal.SIGHUP, lambda *_: None)
    with tempfile.TemporaryDirectory(prefix="chaos-") as name, ExitStack() as stack:
        engine = stack.enter_context(own_engine(Path(name) / "engine", load_definition("python").image)) if given.restarts else None
        table = [_try_kind(kind, Path(name) / kind, given.kills, random.Random(f"{given.seed} {kind}"), engine) for kind in given.kinds]
    print("\n| command | killed or disturbed | commands to their end | ended otherwise |\n|---|---|---|---|")
    print("\n".join(table))


def _try_kind(name: str, folder: Path, wanted: int, rng: random.Random, engine: Engine | None) -> str:
    """Kill commands of one kind, print each trial, and return the kind's row of the table."""
    kind = KINDS[name]
    kills: Counter[str] = Counter()
    trials = failures = 0
    expected, seconds = undisturbed(kind, folder / "undisturbed")
    while kills.total() < wanted:
        trials += 1
        began, told = time.monotonic(), "the same"
        trial = kind.begin(folder / str(trials))
        try:
            disturb(kind, trial, rng, expected, seconds, engine)
        except AssertionError as error:
            failures, told = failures + 1, f"DIFFERS: {str(error)[:2000]}"
        took = time.monotonic() - began
        if not trial.kills:  # it ended before the blow that was chosen: the machine is quicker now
            seconds = min(seconds, took)
        kills.update(one.split()[0] for one in trial.kills)
        print(f"{name} {kills.total():>4} {took:5.1f} s  {'; '.join(trial.kills) or 'not struck'}: {told}", flush=True)
    return f"| {name} | {', '.join(f'{count} {what}' for what, count in sorted(kills.items()))} | {trials} | {failures} |"


if __name__ == "__main__":
    main()
