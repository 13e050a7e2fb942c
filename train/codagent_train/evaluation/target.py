"""The target of an evaluation: which weights are asked, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from codagent.errors import UsageError
from codagent_train.recipe.schema import PolicyConfig, Recipe, read_recipe
from codagent_train.run_dir import checkpoints
from codagent_train.run_dir.weights_ref import WeightsRef, resolve


@dataclass(frozen=True, slots=True)
class EvalTarget:
    """Weights that are evaluated, and the recipe that says how they are asked: environment, form of the requests, limits, device."""

    weights: WeightsRef
    recipe: Recipe  # its own `policy.weights` are not used
    untrained: str | None = None  # the weights that the run began with, as its recipe names them; None: no run is known

    @property
    def name(self) -> str:
        """The name of the weights in reports."""
        return self.weights.name

    @property
    def policy(self) -> PolicyConfig:
        """The recipe's [policy] with these weights."""
        return replace(self.recipe.policy, weights=self.weights.location)


def find_target(weights: WeightsRef, *, recipe_name: str | None = None) -> EvalTarget:
    """Find out how the weights are asked: as `recipe_name` says, a recipe or the folder of a run; None means as in their own run.

    Raises UsageError when no recipe is known for the weights.
    """
    run = weights.run
    if run is None and recipe_name is None:
        is_here = Path(weights.location).is_absolute()  # else it is a name on the hub
        what = "is not from a run" if is_here else "is no folder on this machine, so it would be a name on the hub"
        raise UsageError(f"{weights.location} {what}; say with --recipe how to ask it: frozenlake, smoke, a file, or a run")
    return EvalTarget(weights, _read_recipe(recipe_name or str(run)), checkpoints.load_recipe(run).policy.weights if run else None)


def resolve_target(weights: WeightsRef, *, recipe_name: str | None = None) -> EvalTarget:
    """Do what `find_target` does, for a report. Raises UsageError also when the recipe is not for frozenlake."""
    target = find_target(weights, recipe_name=recipe_name)
    if (name := target.recipe.environment.name) != "frozenlake":
        raise UsageError(
            f"{recipe_name or weights.run} is on {name}, and reports are on frozenlake only; "
            "`codagent-train eval --matrix FILE` plays any environment, and `codagent-train plot` draws any run"
        )
    return target


def untrained_target(target: EvalTarget) -> EvalTarget:
    """Return a target with the weights that the run began with, asked in the same way. Raises UsageError when no run is known."""
    if target.untrained is None:
        raise UsageError(f"which model {target.name} came from is not known; give a run for --notes frozen")
    return EvalTarget(resolve(target.untrained), target.recipe)


def _read_recipe(name: str) -> Recipe:
    return checkpoints.load_recipe(Path(name)) if checkpoints.is_run(Path(name)) else read_recipe(name)
