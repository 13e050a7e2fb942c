"""The folder of a run: its recipe, its metrics, and its checkpoints, each of which is there whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from codagent.errors import UsageError
from codagent.settings.toml import parse_table
from codagent_train.recipe.schema import Recipe
from codagent_train.run_dir import metrics

KEPT_CHECKPOINTS = 2
RUN_FILE = "run.json"
_UNFINISHED = "unfinished"


def prepare_run(out: Path, recipe: Recipe, *, resume: bool, first: bool = True) -> Path | None:
    """The checkpoint to go on from, if one is to. Only the first of several processes changes anything in the folder."""
    if not first:
        return find_latest(out) if resume else None
    if resume:
        return resume_run(out, recipe)
    begin_run(out, recipe)
    return None


def begin_run(out: Path, recipe: Recipe) -> None:
    """Make the folder of a run. UsageError when one has taken steps in it already."""
    if (out / metrics.FILE).exists():
        raise UsageError(f"{out} holds a run already; --resume goes on with it, another --out begins anew")
    out.mkdir(parents=True, exist_ok=True)
    (out / RUN_FILE).write_text(json.dumps(_fixed_settings(recipe), indent=2) + "\n", encoding="utf-8")


def resume_run(out: Path, recipe: Recipe) -> Path | None:
    """The checkpoint to go on from; None to start over, when the run ended before its first. UsageError when it was another recipe.

    What was measured after that checkpoint is forgotten: it will be done again. What is of no use goes first, to make room.
    """
    wanted, recorded = _fixed_settings(recipe), _fixed_settings(load_recipe(out))
    for part in wanted:
        if wanted[part] != recorded[part]:
            raise UsageError(f"the run in {out} had another {part}: {recorded[part]}, not {wanted[part]}; begin anew in another --out")
    remove_unfinished(out)
    checkpoint = find_latest(out)
    metrics.drop_after(out / metrics.FILE, step_of(checkpoint) if checkpoint else 0)
    return checkpoint


def load_seed(out: Path) -> int:
    """The seed of the run in the folder. UsageError when there is none."""
    return int(_read_run_json(out)["seed"])


def load_recipe(out: Path) -> Recipe:
    """The recipe of the run in the folder, but for what a run may change as it goes on. UsageError when there is none that can be read."""
    settings = _read_run_json(out)
    try:
        settings = {**settings, "learning": {"steps": 1, **settings.get("learning", {})}}  # the file does not state the steps
    except TypeError as error:
        raise UsageError(f"{out / RUN_FILE} is not the recipe of a run: {error}") from None
    return parse_table(settings, Recipe, where=f"{out / RUN_FILE} is not the recipe of a run")


def is_run(folder: Path) -> bool:
    return (folder / RUN_FILE).is_file()


def is_checkpoint(folder: Path) -> bool:
    """Whether the folder has the name of a checkpoint."""
    return re.fullmatch(r"checkpoint-\d+", folder.name) is not None


def unfinished_dir(out: Path) -> Path:
    """Where checkpoints are written; whatever is in it may go."""
    return out / _UNFINISHED


def publish(out: Path, step: int) -> None:
    """Give the checkpoint of `step`, which is written, its name, and drop those that are older than the one before it."""
    checkpoint = out / f"checkpoint-{step}"
    (unfinished_dir(out) / checkpoint.name).replace(checkpoint)
    for old in _checkpoints(out)[:-KEPT_CHECKPOINTS]:
        shutil.rmtree(old)


def remove_unfinished(out: Path) -> None:
    """Nothing is written any more."""
    shutil.rmtree(unfinished_dir(out), ignore_errors=True)


def count_to_come(out: Path) -> int:
    """For how many more checkpoints there must be room: those that are kept, and one that is being written."""
    return KEPT_CHECKPOINTS + 1 - min(KEPT_CHECKPOINTS, len(_checkpoints(out)))


def find_latest(out: Path) -> Path | None:
    """The last checkpoint that is whole."""
    return checkpoints[-1] if (checkpoints := _checkpoints(out)) else None


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.partition("-")[2])


def _fixed_settings(recipe: Recipe) -> dict[str, Any]:
    """All that a run must have in common with the one that it goes on with: for how long, how often it is saved, and what samples its
    replies may be changed."""
    settings: dict[str, Any] = to_builtins(recipe)
    del settings["learning"]["steps"], settings["learning"]["save_every"], settings["engine"]
    return settings


def _read_run_json(out: Path) -> Any:
    try:
        return json.loads((out / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(f"there is no run in {out} to resume; without --resume one begins") from None


def _checkpoints(out: Path) -> list[Path]:
    return sorted(out.glob("checkpoint-*"), key=step_of)
