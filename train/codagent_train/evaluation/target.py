"""Who is evaluated: weights, out of the folder of a run or by themselves, and how they are asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from codagent.errors import UsageError
from codagent_train.recipe.schema import Recipe, read_recipe
from codagent_train.run_dir import checkpoints


@dataclass(frozen=True, slots=True)
class EvalTarget:
    """Who plays, called `name` in reports: the weights of `recipe`, on its device, asked in its form and within its bounds. `untrained`
    are the weights that a run began with; None where no run is known."""

    name: str
    recipe: Recipe
    untrained: str | None = None


def resolve_target(weights: str, *, recipe_name: str | None = None) -> EvalTarget:
    """Who plays with `weights`: the folder of a run, then of its last checkpoint; a checkpoint; a folder of weights, or a name on the hub.

    `recipe_name` is a recipe, or a run, that says how; the default is that of the run itself. UsageError when nothing says it, or when
    that is on something else than frozenlake.
    """
    run = _find_run(Path(weights))
    if run is None and recipe_name is None:
        raise UsageError(f"{weights} is not of a run; say with --recipe how these weights are asked: frozenlake, smoke, a file, or a run")
    recipe = _read_recipe(recipe_name or str(run))
    if recipe.environment.name != "frozenlake":
        raise UsageError(
            f"{recipe_name or run} is on {recipe.environment.name}, and reports are on frozenlake only; `codagent-train plot` draws any run"
        )
    if run is None:
        return EvalTarget(weights, _with_weights(recipe, weights))
    last = _find_checkpoint(Path(weights))
    name = f"{run.resolve().name}@{checkpoints.step_of(last)}"
    return EvalTarget(name, _with_weights(recipe, str(last)), checkpoints.load_recipe(run).policy.weights)


def untrained_target(target: EvalTarget) -> EvalTarget:
    """Who plays with the weights that a run began with. UsageError when none are known."""
    if target.untrained is None:
        raise UsageError(f"which model {target.name} came from is not known; give a run to have its notes frozen at the untrained model's")
    return EvalTarget(target.untrained, _with_weights(target.recipe, target.untrained))


def _find_run(folder: Path) -> Path | None:
    """The run that a folder is, or is a checkpoint of."""
    for candidate in (folder, folder.parent) if checkpoints.is_checkpoint(folder) else (folder,):
        if checkpoints.is_run(candidate):
            return candidate
    return None


def _find_checkpoint(folder: Path) -> Path:
    checkpoint = folder if checkpoints.is_checkpoint(folder) else checkpoints.find_latest(folder)
    if checkpoint is None:
        raise UsageError(f"the run in {folder} has no checkpoint yet; wait for its first, or give the weights that it began with")
    return checkpoint


def _read_recipe(name: str) -> Recipe:
    return checkpoints.load_recipe(Path(name)) if checkpoints.is_run(Path(name)) else read_recipe(name)


def _with_weights(recipe: Recipe, weights: str) -> Recipe:
    return replace(recipe, policy=replace(recipe.policy, weights=weights))
