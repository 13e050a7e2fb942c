"""What notes are worth: how many of the sample repositories the embedded model mends within 1, 2, 4 and 8 iterations, with the notes
that it writes, without notes, and with the notes that it wrote on another sample.

Loops of one condition run side by side on one model, which answers them together. Each keeps its record; a second start goes on.

.venv/bin/python tests/benchmarks/notes.py FOLDER [--only NAME …] [--at-once 4] [--steps 2] [--seed 1]
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from samples import check_out, names, sample

from codagent import state
from codagent.cli.outcome import solved
from codagent.cli.work import Desk
from codagent.config import Settings
from codagent.job import Job, Ready
from codagent.models.opening import Given, open_model, profile_for
from codagent.notebook import Notebook
from codagent.types import Limits, Price, Task
from codagent.ui.progress import Progress

CONDITIONS = ("notes", "none", "shuffled")
WITHIN = (1, 2, 4, 8)
LIMITS = Limits(iterations=8, patience=99, tokens=10_000_000, seconds=1e6, usd=None)


class Shared:
    """A model that outlives the desks that it sits at."""

    def __init__(self, model):
        self._model = model

    def __getattr__(self, name):
        return getattr(self._model, name)

    def close(self):
        pass


def mend(name: str, condition: str, folder: Path, ready: Ready, *, seed: int, notes: str) -> int | None:
    """The iteration that passed, from 1; None: none did. Kept in a file beside the repository."""
    result = folder / condition / f"{name}.json"
    if result.exists():
        return json.loads(result.read_text())["passed"]
    task = sample(name)
    root = check_out(name, folder / condition / name)
    loops = state.loops_dir(root)
    loop_id = state.new_loop(loops)
    file = loops.parent / "notes.md"
    rewrite = "always" if condition == "notes" else "never"
    if notes:
        Notebook(file, loops.parent / "notes", who="another").write(notes)
    job = Job(loop_id, loop_id, (Task(name, task.instruction, task.checks),), True, rewrite, notes=notes, notes_file=str(file), seed=seed)
    settings = Settings(model="embedded", limits=LIMITS)
    with closing(Desk(root, settings, loops=loops, progress=Progress(prefix=f"{condition} {name}: "), open_model=lambda _: ready)) as desk:
        loop = desk.do(job).loop
    attempts = solved(loop)
    passed = len(attempts) if loop.end == "passed" else None
    rewards = [attempt.outcome.reward if attempt.outcome else None for attempt in attempts]
    result.write_text(json.dumps({"passed": passed, "rewards": rewards, "notes": loop.episodes[-1].notes_after or "", "end": loop.end}))
    return passed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=names())
    parser.add_argument("--conditions", nargs="*", default=CONDITIONS)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    profile = replace(profile_for("embedded"), steps=given.steps)
    with (
        closing(open_model("embedded", profile=profile, given=Given(at_once=given.at_once))) as model,
        ThreadPoolExecutor(given.at_once) as pool,
    ):
        ready = Ready(Shared(model), profile, Price(0.0, 0.0))
        for condition in given.conditions:
            (given.folder / condition).mkdir(parents=True, exist_ok=True)
            others = written(given.folder, given.only) if condition == "shuffled" else dict.fromkeys(given.only, "")
            work = [pool.submit(mend, name, condition, given.folder, ready, seed=given.seed, notes=others[name]) for name in given.only]
            passed = [future.result() for future in work]
            shares = "  ".join(f"within {k}: {sum(p is not None and p <= k for p in passed)}" for k in WITHIN)
            print(f"{condition}: of {len(given.only)}  {shares}", flush=True)


def written(folder: Path, chosen: list[str]) -> dict[str, str]:
    """For each sample, the notes that were left on the next one."""
    left = [json.loads((folder / "notes" / f"{name}.json").read_text())["notes"] for name in chosen]
    return dict(zip(chosen, [*left[1:], left[0]], strict=True))


if __name__ == "__main__":
    main()
