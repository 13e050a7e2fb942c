"""What notes are worth: how many of the sample repositories the embedded model mends within 1, 2, 4 and 8 iterations, with the notes
that it writes, without notes, and with the notes that it wrote on another sample.

Loops of one condition run side by side on one model, which answers them together. It takes hours on two cores: what a loop came to is kept
in `notes.json` beside this script, and a second start goes on with what is missing: amid a loop where FOLDER has it, else with the
next loop, on another machine too.

.venv/bin/python tests/benchmarks/notes.py [FOLDER] [--only NAME …] [--conditions NAME …] [--at-once 4]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from threading import Lock
from typing import Any

from samples import check_out, names, sample

from codagent.cli.terminal.progress import ProgressLines
from codagent.models.open import ModelOptions, open_model, profile_for
from codagent.runner.model import Access
from codagent.runner.runner import Runner
from codagent.runner.spec import LoopSpec, OpenedModel, spec_of
from codagent.settings.settings import Settings
from codagent.store import layout
from codagent.store.notes_file import NotesFile
from codagent.store.price import Price
from codagent.store.record import load
from codagent.types import Limits, Task

CONDITIONS = ("notes", "none", "shuffled")
WITHIN = (1, 2, 4, 8)
STEPS, SEED = 1, 1  # one answer an iteration, so that an iteration is what notes lie between
LIMITS = Limits(iterations=8, patience=99, tokens=10_000_000, seconds=1e6, usd=None)


class Shared:
    """A model that stays open when a runner closes it."""

    def __init__(self, model):
        self._model = model

    def __getattr__(self, name):
        return getattr(self._model, name)

    def close(self):
        pass


class Results:
    """What each loop came to, by condition and sample: the iteration that passed, from 1 (None: none did), the rewards, the last notes."""

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, Lock()
        self._known: dict[str, dict[str, Any]] = json.loads(file.read_text()) if file.exists() else {}

    def of(self, condition: str) -> dict[str, Any]:
        return self._known.setdefault(condition, {})

    def keep(self, condition: str, name: str, result: dict[str, Any]) -> None:
        with self._lock:
            self.of(condition)[name] = result
            unfinished = self._file.with_suffix(".unfinished")
            unfinished.write_text(json.dumps(self._known, indent=1, sort_keys=True) + "\n")
            unfinished.replace(self._file)


def mend(name: str, condition: str, folder: Path, ready: OpenedModel, notes: str) -> dict[str, Any]:
    """What a loop on a sample comes to; its repository, with its record, lies in the folder. One that was broken off there goes on."""
    root = folder / condition / name
    loops = layout.make_loops_dir(layout.home_dir(root if root.exists() else check_out(name, root)))
    so_far = next((load(loops / loop_id / layout.RECORD) for loop_id in layout.list_loops(loops)), None)
    spec = spec_of(so_far)[0] if so_far else new_spec(name, condition, loops, notes)
    settings, display = Settings(model="embedded", limits=LIMITS), ProgressLines(prefix=f"{condition} {name}: ")
    with closing(Runner(root, settings, loops=loops, display=display, open_model=lambda: ready, access=Access())) as runner:
        loop = runner.run(spec, so_far).loop
    attempts = loop.attempts
    passed = len(attempts) if loop.end == "passed" else None
    rewards = [attempt.outcome.reward if attempt.outcome else None for attempt in attempts]
    return {"passed": passed, "rewards": rewards, "notes": loop.episodes[-1].notes_after or "", "end": loop.end}


def new_spec(name: str, condition: str, loops: Path, notes: str) -> LoopSpec:
    task, loop_id, file = sample(name), layout.create_loop(loops), layout.notes_path(loops)
    if notes:
        NotesFile(file, layout.versions_dir(loops), who="another").write(notes)
    rewrite = "always" if condition == "notes" else "never"
    tasks = (Task(name, task.instruction, task.checks),)
    return LoopSpec(loop_id, loop_id, tasks, iterate=True, rewrite=rewrite, notes=notes, notes_file=str(file), seed=SEED)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--only", nargs="*", default=names())
    parser.add_argument("--conditions", nargs="*", default=CONDITIONS)
    parser.add_argument("--at-once", type=int, default=4)
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="codagent-notes-"))
    results = Results(Path(__file__).with_suffix(".json"))
    profile = replace(profile_for("embedded"), steps=STEPS)
    with (
        closing(open_model("embedded", profile=profile, options=ModelOptions(at_once=given.at_once))) as model,
        ThreadPoolExecutor(given.at_once) as pool,
    ):
        ready = OpenedModel(Shared(model), profile, Price(0.0, 0.0))
        for condition in given.conditions:
            notes = written(results, given.only) if condition == "shuffled" else {}

            def work(name: str, condition: str = condition, notes: dict[str, str] = notes) -> None:
                results.keep(condition, name, mend(name, condition, folder, ready, notes.get(name, "")))

            list(pool.map(work, [name for name in given.only if name not in results.of(condition)]))
            print_rows(condition, [results.of(condition)[name] for name in given.only])


def print_rows(condition: str, found: Collection[dict[str, Any]]) -> None:
    """How many of the samples passed within so many iterations, and the mean over them of the best reward until then."""
    for k in WITHIN:
        passed = sum(each["passed"] is not None and each["passed"] <= k for each in found)
        best = fmean(max(reward or 0.0 for reward in each["rewards"][:k]) for each in found)
        print(f"{condition} within {k}: {passed} of {len(found)} passed, best reward {best:.3f} on average", flush=True)


def written(results: Results, among: Sequence[str]) -> dict[str, str]:
    """For each sample, the notes that were left on the next one."""
    left = results.of("notes")
    return {name: left[after]["notes"] for name, after in zip(among, [*among[1:], among[0]], strict=True)}


if __name__ == "__main__":
    main()
