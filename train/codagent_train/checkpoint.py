"""The folder of a run: its recipe, its metrics, and its checkpoints, each of which is there whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from codagent.codec import decode
from codagent.errors import UsageError
from codagent_train import metrics
from codagent_train.recipe import Recipe

KEEP = 2
RUN = "run.json"
_UNFINISHED = "unfinished"


def prepared(out: Path, recipe: Recipe, *, resume: bool, first: bool = True) -> Path | None:
    """The checkpoint to go on from, if one is to. Only the first of several processes changes anything in the folder."""
    if not first:
        return latest(out) if resume else None
    if resume:
        return gone_on(out, recipe)
    begin(out, recipe)
    return None


def begin(out: Path, recipe: Recipe) -> None:
    """Make the folder of a run. UsageError when one has taken steps in it already."""
    if (out / metrics.FILE).exists():
        raise UsageError(f"{out} holds a run already; --resume goes on with it, another --out begins anew")
    out.mkdir(parents=True, exist_ok=True)
    (out / RUN).write_text(json.dumps(_told(recipe), indent=2) + "\n", encoding="utf-8")


def gone_on(out: Path, recipe: Recipe) -> Path | None:
    """The checkpoint to go on from; None to start over, when the run ended before its first. UsageError when it was another recipe.

    What was measured after that checkpoint is forgotten: it will be done again. What is of no use goes first, to make room.
    """
    given, recorded = _told(recipe), _told(recipe_of(out))
    for part in given:
        if given[part] != recorded[part]:
            raise UsageError(f"the run in {out} had another {part}: {recorded[part]}, not {given[part]}; begin anew in another --out")
    end(out)
    found = latest(out)
    metrics.cut(out / metrics.FILE, step_of(found) if found else 0)
    return found


def seed_of(out: Path) -> int:
    """The seed of the run in the folder. UsageError when there is none."""
    try:
        return int(_recorded(out)["seed"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise UsageError(f"{out / RUN} is not the recipe of a run: it names no seed") from None


def recipe_of(out: Path) -> Recipe:
    """The recipe of the run in the folder, but for what a run may change as it goes on. UsageError when there is none that can be read."""
    told = _recorded(out)
    try:
        return decode(Recipe, {**told, "learning": {"steps": 0, **told.get("learning", {})}})
    except (TypeError, ValueError) as error:
        raise UsageError(f"{out / RUN} is not the recipe of a run: {error}") from None


def is_run(folder: Path) -> bool:
    return (folder / RUN).is_file()


def is_checkpoint(folder: Path) -> bool:
    """Whether the folder has the name of a checkpoint."""
    return re.fullmatch(r"checkpoint-\d+", folder.name) is not None


def unfinished(out: Path) -> Path:
    """Where checkpoints are written; whatever is in it may go."""
    return out / _UNFINISHED


def publish(out: Path, step: int) -> None:
    """Give the checkpoint of `step`, which is written, its name, and drop those that are older than the one before it."""
    there = out / f"checkpoint-{step}"
    (unfinished(out) / there.name).replace(there)
    for old in _checkpoints(out)[:-KEEP]:
        shutil.rmtree(old)


def end(out: Path) -> None:
    """Nothing is written any more."""
    shutil.rmtree(unfinished(out), ignore_errors=True)


def to_come(out: Path) -> int:
    """For how many more checkpoints there must be room: those that are kept, and one that is being written."""
    return KEEP + 1 - min(KEEP, len(_checkpoints(out)))


def latest(out: Path) -> Path | None:
    """The last checkpoint that is whole."""
    return found[-1] if (found := _checkpoints(out)) else None


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.partition("-")[2])


def _told(recipe: Recipe) -> dict[str, Any]:
    """All that a run must have in common with the one that it goes on with: for how long, how often it is saved, and what samples its
    replies may be changed."""
    told = asdict(recipe)
    del told["learning"]["steps"], told["learning"]["save_every"], told["engine"]
    return told


def _recorded(out: Path) -> Any:
    try:
        return json.loads((out / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise UsageError(f"there is no run in {out} to resume; without --resume one begins") from None


def _checkpoints(out: Path) -> list[Path]:
    return sorted(filter(is_checkpoint, out.glob("checkpoint-*")), key=step_of)
