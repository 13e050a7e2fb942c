"""The folder of a run: its recipe, its metrics, and its checkpoints, each of which is there whole or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from codagent.codec import encode
from codagent.errors import UsageError
from codagent_train import metrics
from codagent_train.recipe import Recipe

KEEP = 2
_UNFINISHED, _RUN = "unfinished", "run.json"


def begin(out: Path, recipe: Recipe) -> None:
    """Make the folder. UsageError when there is a run in it already."""
    if (out / _RUN).exists():
        raise UsageError(f"{out} holds a run already; --resume goes on with it, another --out begins anew")
    out.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(unfinished(out), ignore_errors=True)
    (out / _RUN).write_text(json.dumps(encode(recipe), indent=2) + "\n", encoding="utf-8")


def resume(out: Path, recipe: Recipe) -> Path | None:
    """The checkpoint to go on from; None to start over, when the run ended before its first. UsageError when it was another recipe."""
    try:
        recorded = json.loads((out / _RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(f"there is no run in {out} to resume; without --resume one begins") from None
    given = json.loads(json.dumps(encode(recipe)))
    for part in given.keys() | recorded.keys():
        if part != "learning" and given.get(part) != recorded.get(part):
            raise UsageError(
                f"the run in {out} had another {part}: {recorded.get(part)}, not {given.get(part)}; begin anew in another --out"
            )
    shutil.rmtree(unfinished(out), ignore_errors=True)
    found = latest(out)
    metrics.cut(out / metrics.FILE, step_of(found) if found else 0)
    return found


def unfinished(out: Path) -> Path:
    """Where checkpoints are written."""
    return out / _UNFINISHED


def publish(out: Path, step: int) -> None:
    """Give the checkpoint of `step`, which is written, its name, and drop those that are older than the one before it."""
    (unfinished(out) / f"checkpoint-{step}").replace(out / f"checkpoint-{step}")
    for old in _checkpoints(out)[:-KEEP]:
        shutil.rmtree(old)


def latest(out: Path) -> Path | None:
    return found[-1] if (found := _checkpoints(out)) else None


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.partition("-")[2])


def _checkpoints(out: Path) -> list[Path]:
    return sorted(out.glob("checkpoint-*"), key=step_of)
