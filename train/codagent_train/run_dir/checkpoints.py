"""The folder of a run: the recipe in `run.json`, the metrics, and the checkpoints.

A checkpoint is written under another name and renamed when it is complete, so a folder `checkpoint-N` is always whole.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from codagent.errors import UsageError
from codagent.settings.toml import parse_table
from codagent_train.files import make_writable
from codagent_train.recipe.schema import Recipe
from codagent_train.run_dir import metrics

KEPT_CHECKPOINTS = 2
RUN_FILE = "run.json"
_UNFINISHED = "unfinished"


def prepare_run(out: Path, recipe: Recipe, *, resume: bool, first: bool = True) -> Path | None:
    """Begin the run in `out`, or prepare to go on with it. Returns the checkpoint to go on from; None means to start at step 0.

    When several processes train together, `first` is true for one of them, and only that one changes the folder.
    Raises UsageError as `begin_run` and `resume_run` do.
    """
    if not first:
        return find_latest(out) if resume else None
    if resume:
        return resume_run(out, recipe)
    begin_run(out, recipe)
    return None


def begin_run(out: Path, recipe: Recipe) -> None:
    """Make the folder of a run and write its recipe. Raises UsageError when a run has taken steps in it, or it cannot be made."""
    if (out / metrics.FILE).exists():
        raise UsageError(f"{out} already holds a run; continue it with --resume, or give another --out")
    make_writable(out)
    (out / RUN_FILE).write_text(json.dumps(_fixed_settings(recipe), indent=2) + "\n", encoding="utf-8")


def resume_run(out: Path, recipe: Recipe) -> Path | None:
    """Prepare to go on with the run in `out`. Returns its last checkpoint; None means that the run ended before its first one.

    Metrics of steps after that checkpoint are dropped, because these steps are done again. Checkpoints that were not finished are removed.
    Raises UsageError when there is no run, and when its recipe differs in more than a run may change.
    """
    wanted, recorded = _fixed_settings(recipe), _fixed_settings(load_recipe(out))
    for part in wanted:
        if wanted[part] != recorded[part]:
            raise UsageError(f"the run in {out} had another {part}: {recorded[part]}, not {wanted[part]}; start again in another --out")
    remove_unfinished(out)
    checkpoint = find_latest(out)
    metrics.drop_after(out / metrics.FILE, step_of(checkpoint) if checkpoint else 0)
    return checkpoint


def load_seed(out: Path) -> int:
    """Read the seed of the run in `out`. Raises UsageError when there is no run, or its file names no seed."""
    try:
        return int(_read_run_json(out)["seed"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise UsageError(f"{out / RUN_FILE} is not the recipe of a run: it names no seed") from None


def load_recipe(out: Path) -> Recipe:
    """Read the recipe of the run in `out`, without the settings that a run may change when it is resumed.

    Raises UsageError when there is no run, or its recipe cannot be read.
    """
    settings = _read_run_json(out)
    try:
        settings = {**settings, "learning": {"steps": 1, **settings.get("learning", {})}}  # the file does not state the steps
    except TypeError as error:
        raise UsageError(f"{out / RUN_FILE} is not the recipe of a run: {error}") from None
    return parse_table(settings, Recipe, where=f"{out / RUN_FILE} is not the recipe of a run")


def is_run(folder: Path) -> bool:
    """Return whether the folder has a `run.json`."""
    return (folder / RUN_FILE).is_file()


def is_checkpoint(folder: Path) -> bool:
    """Return whether the folder is named like a checkpoint: `checkpoint-N`."""
    return re.fullmatch(r"checkpoint-\d+", folder.name) is not None


def unfinished_dir(out: Path) -> Path:
    """Return the folder in which checkpoints are written until they are complete. It may be removed at any time."""
    return out / _UNFINISHED


def publish(out: Path, step: int) -> None:
    """Give the complete checkpoint of `step` its final name, and remove all but the last `KEPT_CHECKPOINTS`."""
    checkpoint = out / f"checkpoint-{step}"
    (unfinished_dir(out) / checkpoint.name).replace(checkpoint)
    for old in _checkpoints(out)[:-KEPT_CHECKPOINTS]:
        shutil.rmtree(old)


def remove_unfinished(out: Path) -> None:
    """Remove checkpoints that were not completed. Nothing may be writing one."""
    shutil.rmtree(unfinished_dir(out), ignore_errors=True)


def count_to_come(out: Path) -> int:
    """Return how many more checkpoints the disk must have room for: those that are kept, and one that is being written."""
    return KEPT_CHECKPOINTS + 1 - min(KEPT_CHECKPOINTS, len(_checkpoints(out)))


def find_latest(out: Path) -> Path | None:
    """Return the last checkpoint; None when there is none."""
    return checkpoints[-1] if (checkpoints := _checkpoints(out)) else None


def step_of(checkpoint: Path) -> int:
    """Return the step of a checkpoint, from the name of its folder."""
    return int(checkpoint.name.partition("-")[2])


def _fixed_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the settings that a resumed run must have in common with the run before.

    The number of steps, how often it saves, and the engine that samples replies may change.
    """
    settings: dict[str, Any] = to_builtins(recipe)
    del settings["learning"]["steps"], settings["learning"]["save_every"], settings["engine"]
    return settings


def _read_run_json(out: Path) -> Any:
    try:
        return json.loads((out / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise UsageError(f"there is no run in {out}: its {RUN_FILE} cannot be read; leave out --resume to start one") from None


def _checkpoints(out: Path) -> list[Path]:
    """Return the checkpoints, the oldest first."""
    return sorted(filter(is_checkpoint, out.glob("checkpoint-*")), key=step_of)
